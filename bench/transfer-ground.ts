/** What the bench of transfers stands on: files in memory, plain tools beside the broker, and a client's own way with a transfer. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client as SshClient } from 'ssh2';
import type { Broker } from '../lab/broker.ts';
import type { Lab } from '../lab/lab.ts';
import type { LabUser } from '../lab/users.ts';

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

/** A folder of alice's in memory, so that the disk of the machine is not what is measured. */
export function memoryFolder({ uid, gid }: LabUser): {
  path: string;
  at: (name: string) => string;
  remove: () => void;
} {
  const path = join('/dev/shm', `goldcrest-bench-${randomBytes(4).toString('hex')}`);
  mkdirSync(path);
  run('chown', [`${uid}:${gid}`, path]);
  return { path, at: (name) => join(path, name), remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A file of random bytes that belongs to the user. */
export async function makeFile(path: string, sizeBytes: number, { uid, gid }: LabUser): Promise<void> {
  const block = randomBytes(64 * mebi);
  const file = createWriteStream(path);
  for (let left = sizeBytes; left > 0; left -= block.length) {
    if (!file.write(block.subarray(0, Math.min(left, block.length))))
      await new Promise<void>((room) => file.once('drain', () => room()));
  }
  await new Promise<void>((closed) => file.end(() => closed()));
  await run('chown', [`${uid}:${gid}`, path]);
}

/** Seconds that a program takes. Throws where it fails. */
export async function run(command: string, args: readonly string[]): Promise<number> {
  const since = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
  return (performance.now() - since) / 1_000;
}

/** Plain curl of one address into a file, one connection; by way of another base address, where one is given. */
export function curl(url: string, target: string, by?: string): Promise<number> {
  const way = by === undefined ? [] : ['--connect-to', `${new URL(url).host}:${new URL(by).host}`];
  return run('curl', ['-q', '-sS', '-f', ...way, '-o', target, url]);
}

/** Resolves when the file is there with its whole size: when that was, as `performance.now()`. */
export async function inPlace(path: string, sizeBytes: number): Promise<number> {
  for (;;) {
    if (statSync(path, { throwIfNoEntry: false })?.size === sizeBytes) return performance.now();
    await sleep(5);
  }
}

/** Seconds that a file takes over one ssh2 channel and nothing else: `out` of the cluster to nowhere, `in` from memory. */
export async function rawSsh(lab: Lab, user: LabUser, direction: 'out' | 'in', path: string, sizeBytes: number) {
  const client = new SshClient();
  await new Promise<void>((resolve, reject) => {
    client.once('ready', resolve).once('error', reject);
    const privateKey = readFileSync(user.privateKeyPath);
    const algorithms = { cipher: ['aes128-gcm@openssh.com' as const] };
    client.connect({ host: lab.sshd.host, port: lab.sshd.port, username: user.username, privateKey, algorithms });
  });
  const command = direction === 'out' ? `cat '${path}'` : `cat > '${path}'`;
  const since = performance.now();
  const bytes = await new Promise<number>((resolve, reject) => {
    client.exec(command, (error, stream) => {
      if (error) return reject(error);
      let count = 0;
      stream.on('data', (chunk: Buffer) => {
        count += chunk.length;
      });
      stream.once('close', () => resolve(direction === 'out' ? count : (statSync(path).size ?? 0)));
      if (direction === 'in') createReadStream('/dev/zero', { end: sizeBytes - 1, highWaterMark: mebi }).pipe(stream);
    });
  });
  const seconds = (performance.now() - since) / 1_000;
  client.end();
  if (bytes !== sizeBytes) throw new Error(`raw ssh2 moved ${bytes} bytes`);
  return seconds;
}
