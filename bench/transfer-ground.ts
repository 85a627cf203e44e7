/** What the bench of transfers stands on: its files, and a client's own way with a transfer. */
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker } from '../lab/broker.ts';
import type { Lab } from '../lab/lab.ts';
import type { LabUser } from '../lab/users.ts';
import { run } from './plain-tools.ts';

export const mebi = 2 ** 20;

/** The answer of an upload or a download that began, as far as it is looked at. */
export interface Begun {
  id: string;
  partsUploadUrls: string[];
  completeUploadUrl: string;
  maxPartSize: number;
  downloadUrl: string;
}

/** How a task ended. */
export interface Ended {
  state: string;
  result: { seconds: number; bytes: number; sha256: string };
  error?: { message: string };
}

export interface TransferClient {
  /** `sha256`: what it must add up to, where the client says so. */
  upload(path: string, sizeBytes: number, sha256?: string): Promise<Begun>;
  download(path: string): Promise<Begun>;
  /** Held by the API until the task has ended. Throws where it did not end well. */
  end(id: string): Promise<Ended>;
  /** What was begun of it is taken back, in the store too. */
  cancel(id: string): Promise<void>;
}

/** A client of the API, as alice. */
export async function openTransferClient(lab: Lab, broker: Broker): Promise<TransferClient> {
  const token = await lab.oidc.token('alice', { expiresInSeconds: 3_600 });
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const begin = async (direction: string, body: unknown): Promise<Begun> => {
    const url = `${broker.url}/filesystem/${broker.systemName}/transfer/${direction}`;
    const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
    const { transferJob, transferDirectives, message } = (await answer.json()) as Record<string, unknown>;
    if (answer.status !== 201) throw new Error(`${direction}: ${answer.status} ${String(message)}`);
    const { logs } = transferJob as { logs: { outputLog: string } };
    const id = /job_([0-9a-f-]{36})\.log$/.exec(logs.outputLog)?.[1] ?? '';
    return { id, ...(transferDirectives as Omit<Begun, 'id'>) };
  };
  return {
    upload: (path, fileSize, sha256) =>
      begin('upload', { path, transferDirectives: { transferMethod: 's3', fileSize, sha256 } }),
    download: (path) => begin('download', { path, transferDirectives: { transferMethod: 's3' } }),
    async end(id) {
      for (;;) {
        const answer = await fetch(`${broker.url}/tasks/${id}`, { headers: { ...headers, prefer: 'wait=60' } });
        const task = (await answer.json()) as Ended;
        if (task.state === 'completed') return task;
        if (task.state === 'failed' || task.state === 'canceled') throw new Error(`${id}: ${task.error?.message}`);
      }
    },
    async cancel(id) {
      const answer = await fetch(`${broker.url}/tasks/${id}`, { method: 'DELETE', headers });
      if (!answer.ok) throw new Error(`cancel: ${answer.status}`);
    },
  };
}

/** A file to send, of parts that are all alike, and its digest. */
export function contentOf(sizeBytes: number, partBytes: number): { part: Buffer; sha256: string } {
  const part = randomBytes(Math.min(partBytes, sizeBytes));
  const hash = createHash('sha256');
  for (let left = sizeBytes; left > 0; left -= part.length) hash.update(part.subarray(0, Math.min(left, part.length)));
  return { part, sha256: hash.digest('hex') };
}

/** PUTs its parts, as any client does; gives what completes the upload. */
export async function sendParts(
  { partsUploadUrls, maxPartSize, completeUploadUrl }: Begun,
  content: Buffer,
  sizeBytes: number,
): Promise<() => Promise<void>> {
  const etags: string[] = [];
  for (const [index, url] of partsUploadUrls.entries()) {
    const body = content.subarray(0, Math.min(maxPartSize, sizeBytes - index * maxPartSize));
    const answer = await fetch(url, { method: 'PUT', body });
    if (!answer.ok) throw new Error(`part ${index + 1}: ${answer.status}`);
    etags.push(answer.headers.get('etag') ?? '');
  }
  const list = etags.map((etag, at) => `<Part><ETag>${etag}</ETag><PartNumber>${at + 1}</PartNumber></Part>`).join('');
  return async (): Promise<void> => {
    const body = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`;
    const answer = await fetch(completeUploadUrl, { method: 'POST', body });
    if (!answer.ok) throw new Error(`completing the upload: ${answer.status} ${await answer.text()}`);
  };
}

/** A file that belongs to the user: 64 MiB of random bytes, which are given, again and again. */
export async function makeFile(path: string, sizeBytes: number, { uid, gid }: LabUser): Promise<Buffer> {
  const block = randomBytes(64 * mebi);
  const file = createWriteStream(path);
  for (let left = sizeBytes; left > 0; left -= block.length) {
    if (!file.write(block.subarray(0, Math.min(left, block.length))))
      await new Promise<void>((room) => file.once('drain', () => room()));
  }
  await new Promise<void>((closed) => file.end(() => closed()));
  await run('chown', [`${uid}:${gid}`, path]);
  return block;
}

/** Resolves when the file is there with its whole size: when that was, as `performance.now()`. */
export async function inPlace(path: string, sizeBytes: number): Promise<number> {
  for (;;) {
    if (statSync(path, { throwIfNoEntry: false })?.size === sizeBytes) return performance.now();
    await sleep(5);
  }
}
