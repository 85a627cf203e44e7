/** What every mover promises, asked through a running broker: the same bytes, or a clear failure, and nothing left behind. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { type LabUser, userNamed } from '../../lab/users.ts';
import { eventually } from '../eventually.ts';
import { type Broker, type Client, clientOf, startBroker } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';
import { scrape, scraped } from './scrape.ts';
import {
  completeUpload,
  directivesOf,
  jobEnd,
  jobOf,
  putParts,
  type TransferJob,
  taskIdOf,
  watchLeftovers,
} from './transfer-fixture.ts';

const mebi = 2 ** 20;
const transfer = '/filesystem/lab/transfer';
const digest = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

export interface MoverGround {
  broker: Broker;
  client: Client;
  owner: LabUser;
  at: (name: string) => string;
  upload: (path: string, content: Buffer, more?: Record<string, unknown>) => Promise<{ job: TransferJob; id: string }>;
}

/** `options`: the broker's, with the mover. `more`: what this mover promises besides. */
export function describeMover(
  mover: string,
  options: Parameters<typeof startBroker>[1],
  more: (ground: () => MoverGround) => void = () => undefined,
): void {
  describe(`the ${mover} mover`, () => {
    const lab = inject('lab');
    let broker: Broker;
    let client: Client;
    let owner: LabUser;
    let own: OwnDirectory;
    let leftovers: () => Promise<string[]>;
    let store: S3Client;
    const begun: string[] = [];
    const at = (name: string): string => join(own.path, name);

    beforeAll(async () => {
      broker = await startBroker(lab, {
        scheduler: 'process',
        s3: lab.s3,
        staging: { multipart: { max_part_size: 6 * mebi } },
        ...options,
        goldcrest: {
          ...scraped,
          systems: { lab: { host_keys: { pinned: [lab.sshd.hostKey] }, transfers: { mover } } },
        },
      });
      client = await clientOf(lab.oidc, broker.url, 'alice');
      owner = userNamed(lab.users, 'alice');
      own = homeDirectory(owner);
      leftovers = watchLeftovers(client, lab, owner, own.path);
      const { endpoint, region, accessKeyId, secretAccessKey } = lab.s3;
      store = new S3Client({ endpoint, region, credentials: { accessKeyId, secretAccessKey }, forcePathStyle: true });
    }, 60_000);

    afterEach(async () => {
      await eventually(async () => expect(await leftovers()).toEqual([]));
      for (const id of begun.splice(0)) expect(await stagedOf(id)).toEqual([]);
    });

    afterAll(async () => {
      store?.destroy();
      own?.remove();
      await broker?.stop();
    });

    async function stagedOf(taskId: string): Promise<string[]> {
      const wish = { Bucket: owner.username, Prefix: taskId };
      const objects = await store.send(new ListObjectsV2Command(wish));
      const uploads = await store.send(new ListMultipartUploadsCommand(wish));
      return [...(objects.Contents ?? []), ...(uploads.Uploads ?? [])].map(({ Key }) => Key ?? '');
    }

    async function movedBytes(direction: 'in' | 'out'): Promise<number> {
      const labels = { system: 'lab', mover, direction };
      const told = (await Promise.all(broker.workers.map(scrape))).map(({ value }) =>
        value('goldcrest_transfer_bytes_total', labels),
      );
      return told.reduce<number>((sum, bytes = 0) => sum + bytes, 0);
    }

    async function upload(path: string, content: Buffer, more: Record<string, unknown> = {}) {
      const transferDirectives = { transferMethod: 's3', fileSize: content.length, ...more };
      const answer = await client.post(`${transfer}/upload`, { path, transferDirectives });
      expect(answer.status, answer.text).toBe(201);
      const id = taskIdOf(answer);
      begun.push(id);
      const etags = await putParts(directivesOf(answer), content);
      expect((await completeUpload(directivesOf(answer), etags)).status).toBe(200);
      return { job: jobOf(answer), id };
    }

    function download(path: string) {
      return client.post(`${transfer}/download`, { path, transferDirectives: { transferMethod: 's3' } });
    }

    it('puts a file of several parts in place, and tells its bytes, digest, seconds and rate', async () => {
      const content = randomBytes(15 * mebi + 7);
      const name = 'it’s a\nname & <b>';
      const before = await movedBytes('in');
      const { job, id } = await upload(at(name), content);
      expect(await jobEnd(client, job)).toMatchObject({ state: 'COMPLETED', exitCode: 0, error: '' });
      expect(digest(readFileSync(at(name)))).toBe(digest(content));
      expect(statSync(at(name)).uid).toBe(owner.uid);
      const { body } = await client.get(`/tasks/${id}`);
      const { seconds, megabytesPerSecond, ...facts } = body.result;
      expect(facts).toEqual({ path: at(name), bytes: content.length, sha256: digest(content), quotaBytesLeft: null });
      expect([seconds, megabytesPerSecond]).toEqual([expect.any(Number), expect.any(Number)]);
      await eventually(async () => expect((await movedBytes('in')) - before).toBe(content.length));
    });

    it('moves a file without bytes both ways', async () => {
      const { job } = await upload(at('empty'), Buffer.alloc(0));
      expect(await jobEnd(client, job)).toMatchObject({ state: 'COMPLETED', error: '' });
      expect(statSync(at('empty')).size).toBe(0);
      const answer = await download(at('empty'));
      expect(await jobEnd(client, jobOf(answer))).toMatchObject({ state: 'COMPLETED', error: '' });
      expect(await (await fetch(directivesOf(answer).downloadUrl)).text()).toBe('');
    });

    it('does not put in place what does not add up, and keeps the old file', async () => {
      writeFileSync(at('old'), 'old');
      own.giveAway();
      const { job } = await upload(at('old'), Buffer.from('abc'), { sha256: digest(Buffer.from('abd')) });
      const end = await jobEnd(client, job);
      expect(end).toMatchObject({ state: 'FAILED', output: '' });
      expect(end.error).toMatch(/the file has the SHA-256 ba7816bf.*, not /);
      expect(readFileSync(at('old'), 'utf8')).toBe('old');
    });

    it('takes a file of several parts out, whole', async () => {
      const content = randomBytes(15 * mebi + 7);
      writeFileSync(at('out'), content);
      own.giveAway();
      const before = await movedBytes('out');
      const answer = await download(at('out'));
      expect(answer.status, answer.text).toBe(201);
      expect(await jobEnd(client, jobOf(answer))).toMatchObject({ state: 'COMPLETED', error: '' });
      const got = Buffer.from(await (await fetch(directivesOf(answer).downloadUrl)).arrayBuffer());
      expect(digest(got)).toBe(digest(content));
      const { body } = await client.get(`/tasks/${taskIdOf(answer)}`);
      expect(body.result).toMatchObject({ bytes: content.length, sha256: digest(content) });
      await eventually(async () => expect((await movedBytes('out')) - before).toBe(content.length));
    });

    it('that is canceled leaves no file, no process and nothing staged', async () => {
      const { job } = await upload(at('canceled'), randomBytes(30 * mebi));
      await client.delete(`/compute/lab/jobs/${job.jobId}`);
      const { state } = await jobEnd(client, job);
      // It may have been faster.
      expect(['CANCELLED', 'COMPLETED']).toContain(state);
      expect(existsSync(at('canceled'))).toBe(state === 'COMPLETED');
    });

    more(() => ({ broker, client, owner, at, upload }));
  });
}
