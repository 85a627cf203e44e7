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
import { openSlowLink } from '../../lab/slow-link.ts';
import { type LabUser, userNamed } from '../../lab/users.ts';
import { type Answer, type Broker, type Client, clientOf, startBroker } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import {
  completeUpload,
  directivesOf,
  jobEnd,
  jobOf,
  leftoversOf,
  putParts,
  taskIdOf,
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
  beginUpload(system: string, path: string, sizeBytes: number): Promise<Begun>;
  sendParts(begun: Begun, content: Buffer): Promise<void>;
  upload(system: string, path: string, content: Buffer): Promise<Begun>;
  download(system: string, path: string): Promise<Begun>;
  /** The file is in place with the right digest, which the task tells too; nothing is left of its transfer. */
  expectUploaded(begun: Begun, path: string, content: Buffer): Promise<void>;
  expectDownloaded(begun: Begun, content: Buffer): Promise<void>;
  /** It failed for that reason, the target (null: it has none) is as it was, and nothing is left. */
  expectFailed(begun: Begun, reason: RegExp, target: { path: string; content: Buffer } | null): Promise<void>;
  /** It was canceled, the file is as it was, and nothing is left. */
  expectCanceled(begun: Begun, file: { path: string; content: Buffer }): Promise<void>;
  /** What there is on the cluster of its transfer now: its directory of work, partial files, processes. */
  leftovers(begun: Begun): string[];
  stop(): Promise<void>;
}

const endTimeoutMs = 180_000;
export const partSizeBytes = 6 * 2 ** 20;

export function digest(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

export interface GroundOptions {
  /** The life of an address in the store; an hour. */
  ttlSeconds?: number;
  /** What a connection between the store and a mover carries; as much as it can. */
  bytesPerSecond?: number;
  /** Parts that a mover on the cluster moves at once; as many as it does by itself. */
  partsAtOnce?: number;
  /** More systems, by name: their `transfers`. */
  systems?: Readonly<Record<string, object>>;
  /** How long the API keeps a request open at most; as it does by itself. */
  hold?: string;
  /** The system `job` has the lab's Slurm for its jobs; else they are processes. */
  hasSlurm?: boolean;
}

type GroundLab = Pick<LabFacts, 'folder' | 'redis' | 'sshd' | 's3' | 'oidc'> & {
  users: readonly LabUser[];
  slurm?: Pick<LabFacts['slurm'], 'version'>;
};

/** A cluster with the lab's Slurm. */
function slurmCluster({ slurm }: GroundLab): Record<string, unknown> {
  return { scheduler: { type: 'slurm', version: slurm?.version, connection_mode: 'ssh' } };
}

export async function openTransferFaultGround(
  lab: GroundLab,
  {
    ttlSeconds = 3_600,
    bytesPerSecond = Number.POSITIVE_INFINITY,
    partsAtOnce,
    systems = {},
    hasSlurm = false,
    hold,
  }: GroundOptions = {},
): Promise<TransferFaultGround> {
  const link = await openSlowLink(lab.s3.endpoint, bytesPerSecond);
  const proxy = await startStoreFaultProxy(link.url);
  const multipart = {
    max_part_size: partSizeBytes,
    ...(partsAtOnce === undefined ? {} : { parallel_runs: partsAtOnce }),
  };
  const broker = await startBroker(lab, {
    scheduler: 'process',
    systemName: 'command',
    s3: lab.s3,
    // All that a test holds at once.
    goldcrest: { tasks: { moves_per_user_max: 30 }, ...(hold === undefined ? {} : { api: { hold } }) },
    staging: { private_url: proxy.url, ttl: ttlSeconds, multipart },
    otherSystems: Object.entries({ job: { mover: 'job' }, stream: { mover: 'stream' }, ...systems }).map(
      ([name, transfers]) => ({
        ...{ name, sshd: lab.sshd, section: { transfers } },
        ...(hasSlurm && name === 'job' ? { cluster: slurmCluster(lab) } : {}),
      }),
    ),
  });
  const client = await clientOf(lab.oidc, broker.url, 'alice');
  const owner = userNamed(lab.users, 'alice');
  const own = homeDirectory(owner);
  const store = storeClient(lab.s3);
  const leftovers = ({ id }: Begun) => leftoversOf(id, lab, owner, own.path);
  const begin = async (system: string, way: 'upload' | 'download', path: string, more: object): Promise<Begun> => {
    const transferDirectives = { transferMethod: 's3', ...more };
    const answer = await client.post(`/filesystem/${system}/transfer/${way}`, { path, transferDirectives });
    expect(answer.status, `${system}: ${answer.text}`).toBe(201);
    return { answer, id: taskIdOf(answer) };
  };
  const ground: Pick<TransferFaultGround, 'put' | 'beginUpload' | 'sendParts' | 'upload' | 'download'> = {
    put(path, content) {
      writeFileSync(path, content);
      own.giveAway();
      return path;
    },
    beginUpload: (system, path, sizeBytes) => begin(system, 'upload', path, { fileSize: sizeBytes }),
    async sendParts({ answer }, content) {
      const etags = await putParts(directivesOf(answer), content);
      expect((await completeUpload(directivesOf(answer), etags)).status).toBe(200);
    },
    async upload(system, path, content) {
      const begun = await this.beginUpload(system, path, content.length);
      await this.sendParts(begun, content);
      return begun;
    },
    download: (system, path) => begin(system, 'download', path, {}),
  };
  return {
    ...{ proxy, broker, client, owner, own },
    ...ground,
    ...{ at: (name) => join(own.path, name), leftovers },
    ...looksAtEnds({ client, store, owner, leftovers }),
    async stop() {
      store.destroy();
      own.remove();
      await broker.stop();
      await proxy.stop();
      await link.close();
    },
  };
}

interface EndParts {
  client: Client;
  store: S3Client;
  owner: LabUser;
  leftovers: (begun: Begun) => string[];
}

function looksAtEnds({ client, store, owner, leftovers }: EndParts) {
  const nothingIsLeft = async (begun: Begun): Promise<void> => {
    await vi.waitFor(() => expect(leftovers(begun)).toEqual([]), { timeout: 30_000 });
    expect(await stagedOf(store, owner.username, begun.id)).toEqual([]);
  };
  const isWhole = async ({ answer, id }: Begun, content: Buffer): Promise<void> => {
    expect(await jobEnd(client, jobOf(answer), endTimeoutMs)).toMatchObject({ state: 'COMPLETED', error: '' });
    const { body } = await client.get(`/tasks/${id}`);
    expect(body.result).toMatchObject({ bytes: content.length, sha256: digest(content) });
  };
  type Look = 'expectUploaded' | 'expectDownloaded' | 'expectFailed' | 'expectCanceled';
  const looks: Pick<TransferFaultGround, Look> = {
    async expectUploaded(begun, path, content) {
      await isWhole(begun, content);
      expect(digest(readFileSync(path))).toBe(digest(content));
      await nothingIsLeft(begun);
    },
    async expectDownloaded(begun, content) {
      await isWhole(begun, content);
      const { body } = await client.get(`/tasks/${begun.id}/transfer`);
      const got = await fetch(String(body.downloadUrl));
      expect(digest(Buffer.from(await got.arrayBuffer()))).toBe(digest(content));
      await vi.waitFor(() => expect(leftovers(begun)).toEqual([]), { timeout: 30_000 });
      // The object for its client, and no upload besides.
      expect(await stagedOf(store, owner.username, begun.id)).toHaveLength(1);
    },
    async expectFailed(begun, reason, target) {
      const end = await jobEnd(client, jobOf(begun.answer), endTimeoutMs);
      expect(end).toMatchObject({ state: 'FAILED', output: '', error: expect.stringMatching(reason) });
      if (target !== null) expect(digest(readFileSync(target.path))).toBe(digest(target.content));
      await nothingIsLeft(begun);
    },
    async expectCanceled(begun, { path, content }) {
      const end = await jobEnd(client, jobOf(begun.answer), endTimeoutMs);
      expect(end).toMatchObject({ state: 'CANCELLED', output: '' });
      expect((await client.get(`/tasks/${begun.id}`)).body.state).toBe('canceled');
      expect(digest(readFileSync(path))).toBe(digest(content));
      await nothingIsLeft(begun);
    },
  };
  return looks;
}
