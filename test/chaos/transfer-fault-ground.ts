/**
 * One broker with a system for each mover, all of them behind a store whose faults a test makes, and the one look at a
 * transfer that is over: right bytes in place or a clear failure, and nothing left anywhere.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import { expect, vi } from 'vitest';
import type { LabFacts } from '../../lab/lab-facts.ts';
import { type LabUser, userNamed } from '../../lab/users.ts';
import { type Answer, type Broker, type Client, clientOf, startBroker } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import {
  completeUpload,
  directivesOf,
  jobEnd,
  jobOf,
  putParts,
  taskIdOf,
  watchLeftovers,
} from '../system/transfer-fixture.ts';
import { stagedOf, storeClient } from '../system/tree-fixture.ts';
import { type StoreFaultProxy, startStoreFaultProxy } from './store-fault-proxy.ts';

/** Name of the system that has it. */
export const movers = ['command', 'job', 'stream'] as const;
export type MoverName = (typeof movers)[number];

export interface Begun {
  answer: Answer;
  id: string;
}

export interface TransferFaultGround {
  proxy: StoreFaultProxy;
  broker: Broker;
  client: Client;
  owner: LabUser;
  own: OwnDirectory;
  at(name: string): string;
  put(path: string, content: Buffer | string): string;
  beginUpload(mover: MoverName, path: string, sizeBytes: number): Promise<Begun>;
  sendParts(begun: Begun, content: Buffer): Promise<void>;
  upload(mover: MoverName, path: string, content: Buffer): Promise<Begun>;
  download(mover: MoverName, path: string): Promise<Begun>;
  /** The file is in place with the right digest, which the task tells too; nothing is left of its transfer. */
  expectUploaded(begun: Begun, path: string, content: Buffer): Promise<void>;
  expectDownloaded(begun: Begun, content: Buffer): Promise<void>;
  /** It failed for that reason, the target (null: it has none) is as it was, and nothing is left. */
  expectFailed(begun: Begun, reason: RegExp, target: { path: string; content: Buffer } | null): Promise<void>;
  stop(): Promise<void>;
}

const endTimeoutMs = 90_000;
export const partSizeBytes = 6 * 2 ** 20;

export function digest(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/** `ttlSeconds`: the life of an address in the store. */
export async function openTransferFaultGround(lab: LabFacts, ttlSeconds: number): Promise<TransferFaultGround> {
  const proxy = await startStoreFaultProxy(lab.s3.endpoint);
  const multipart = { max_part_size: partSizeBytes };
  const broker = await startBroker(lab, {
    scheduler: 'process',
    systemName: 'command',
    s3: lab.s3,
    // All that a test holds at once.
    goldcrest: { tasks: { moves_per_user_max: 30 } },
    staging: { private_url: proxy.url, ttl: ttlSeconds, multipart },
    otherSystems: (['job', 'stream'] as const).map((mover) => ({
      name: mover,
      sshd: lab.sshd,
      section: { transfers: { mover } },
    })),
  });
  const client = await clientOf(lab.oidc, broker.url, 'alice');
  const owner = userNamed(lab.users, 'alice');
  const own = homeDirectory(owner);
  const store = storeClient(lab.s3);
  const leftovers = watchLeftovers(lab, owner, own.path);
  const begin = async (mover: MoverName, way: 'upload' | 'download', path: string, more: object): Promise<Begun> => {
    const transferDirectives = { transferMethod: 's3', ...more };
    const answer = await client.post(`/filesystem/${mover}/transfer/${way}`, { path, transferDirectives });
    expect(answer.status, `${mover}: ${answer.text}`).toBe(201);
    return { answer, id: taskIdOf(answer) };
  };
  const ground: Pick<TransferFaultGround, 'put' | 'beginUpload' | 'sendParts' | 'upload' | 'download'> = {
    put(path, content) {
      writeFileSync(path, content);
      own.giveAway();
      return path;
    },
    beginUpload: (mover, path, sizeBytes) => begin(mover, 'upload', path, { fileSize: sizeBytes }),
    async sendParts({ answer }, content) {
      const etags = await putParts(directivesOf(answer), content);
      expect((await completeUpload(directivesOf(answer), etags)).status).toBe(200);
    },
    async upload(mover, path, content) {
      const begun = await this.beginUpload(mover, path, content.length);
      await this.sendParts(begun, content);
      return begun;
    },
    download: (mover, path) => begin(mover, 'download', path, {}),
  };
  return {
    ...{ proxy, broker, client, owner, own },
    ...ground,
    at: (name) => join(own.path, name),
    ...looksAtEnds({ client, store, owner, leftovers }),
    async stop() {
      store.destroy();
      own.remove();
      await broker.stop();
      await proxy.stop();
    },
  };
}

interface EndParts {
  client: Client;
  store: S3Client;
  owner: LabUser;
  leftovers: () => string[];
}

function looksAtEnds({ client, store, owner, leftovers }: EndParts) {
  const nothingIsLeft = async (id: string): Promise<void> => {
    const mine = () => leftovers().filter((found) => found.includes(id));
    await vi.waitFor(() => expect(mine()).toEqual([]), { timeout: 20_000 });
    expect(await stagedOf(store, owner.username, id)).toEqual([]);
  };
  const isWhole = async ({ answer, id }: Begun, content: Buffer): Promise<void> => {
    expect(await jobEnd(client, jobOf(answer), endTimeoutMs)).toMatchObject({ state: 'COMPLETED', error: '' });
    const { body } = await client.get(`/tasks/${id}`);
    expect(body.result).toMatchObject({ bytes: content.length, sha256: digest(content) });
  };
  const looks: Pick<TransferFaultGround, 'expectUploaded' | 'expectDownloaded' | 'expectFailed'> = {
    async expectUploaded(begun, path, content) {
      await isWhole(begun, content);
      expect(digest(readFileSync(path))).toBe(digest(content));
      await nothingIsLeft(begun.id);
    },
    async expectDownloaded(begun, content) {
      await isWhole(begun, content);
      const { body } = await client.get(`/tasks/${begun.id}/transfer`);
      const got = await fetch(String(body.downloadUrl));
      expect(digest(Buffer.from(await got.arrayBuffer()))).toBe(digest(content));
      // The object for its client, and no upload besides.
      expect(await stagedOf(store, owner.username, begun.id)).toHaveLength(1);
    },
    async expectFailed(begun, reason, target) {
      const end = await jobEnd(client, jobOf(begun.answer), endTimeoutMs);
      expect(end).toMatchObject({ state: 'FAILED', output: '', error: expect.stringMatching(reason) });
      if (target !== null) expect(digest(readFileSync(target.path))).toBe(digest(target.content));
      await nothingIsLeft(begun.id);
    },
  };
  return looks;
}
