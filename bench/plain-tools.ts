/** Plain tools beside the broker, which do what it does with as little as it takes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { type ClientChannel, Client as SshClient } from 'ssh2';
import type { Lab } from '../lab/lab.ts';
import type { LabUser } from '../lab/users.ts';

/** Seconds that a program takes. Throws where it fails. */
export async function run(command: string, args: readonly string[]): Promise<number> {
  const since = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
  return (performance.now() - since) / 1_000;
}

/** Plain curl of one address into a file, one connection. */
export function curl(url: string, target: string): Promise<number> {
  return run('curl', ['-q', '-sS', '-f', '-o', target, url]);
}

/** The same of the first bytes only, by way of another base address. */
export function curlBy(by: string, url: string, target: string, bytes: number): Promise<number> {
  const way = ['--connect-to', `${new URL(url).host}:${new URL(by).host}`];
  return run('curl', ['-q', '-sS', '-f', ...way, '-r', `0-${bytes - 1}`, '-o', target, url]);
}

/** Plain curl of one file to each of the addresses, one after another on one connection, by way of another base address. */
export function curlPartsBy(by: string, urls: readonly string[], path: string): Promise<number> {
  const way = ['--connect-to', `${new URL(urls[0] ?? by).host}:${new URL(by).host}`];
  const sends = urls.flatMap((url) => ['-T', path, url]);
  return run('curl', ['-q', '-sS', '-f', ...way, '-H', 'Expect:', ...sends]);
}

/** The same, and the SHA-256 of what comes: the least that whoever has to vouch for a file can do. */
export function hashedCurl(url: string, target: string): Promise<number> {
  const line = 'curl -q -sS -f "$1" | tee "$2" | openssl dgst -sha256 -r';
  return run('sh', ['-c', line, 'sh', url, target]);
}

/** A connection of the user, logged in. */
async function connect(lab: Lab, user: LabUser): Promise<SshClient> {
  const client = new SshClient();
  await new Promise<void>((resolve, reject) => {
    client.once('ready', resolve).once('error', reject);
    const privateKey = readFileSync(user.privateKeyPath);
    const algorithms = { cipher: ['aes128-gcm@openssh.com' as const] };
    client.connect({ host: lab.sshd.host, port: lab.sshd.port, username: user.username, privateKey, algorithms });
  });
  return client;
}

function exec(client: SshClient, command: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, stream) => (error ? reject(error) : resolve(stream)));
  });
}

/** Seconds that a file takes over one ssh2 channel and nothing else: `out` of the cluster to nowhere, `in` from memory. */
export async function rawSsh(lab: Lab, user: LabUser, direction: 'out' | 'in', path: string, sizeBytes: number) {
  const client = await connect(lab, user);
  const since = performance.now();
  const stream = await exec(client, direction === 'out' ? `cat '${path}'` : `cat > '${path}'`);
  let count = 0;
  stream.on('data', (chunk: Buffer) => {
    count += chunk.length;
  });
  if (direction === 'in') createReadStream('/dev/zero', { end: sizeBytes - 1, highWaterMark: 2 ** 20 }).pipe(stream);
  await once(stream, 'close');
  const seconds = (performance.now() - since) / 1_000;
  client.end();
  const bytes = direction === 'out' ? count : statSync(path).size;
  if (bytes !== sizeBytes) throw new Error(`raw ssh2 moved ${bytes} bytes`);
  return seconds;
}

/** Seconds that a file takes out of the cluster into parts of an upload, over one ssh2 channel a part, with nothing hashed here. */
export async function plainRelay(
  lab: Lab,
  user: LabUser,
  path: string,
  sizeBytes: number,
  { partsUploadUrls, maxPartSize }: { partsUploadUrls: readonly string[]; maxPartSize: number },
): Promise<number> {
  const client = await connect(lab, user);
  const since = performance.now();
  for (const [number, url] of partsUploadUrls.entries()) {
    const from = number * maxPartSize;
    const bytes = Math.min(maxPartSize, sizeBytes - from);
    const put = request(url, { method: 'PUT', headers: { 'content-length': bytes } });
    const answered = once(put, 'response');
    const range = `iflag=skip_bytes,count_bytes skip=${from} count=${bytes}`;
    (await exec(client, `dd if='${path}' bs=65536 ${range} 2>/dev/null`)).pipe(put);
    const [answer] = (await answered) as [IncomingMessage];
    answer.resume();
    if (answer.statusCode !== 200) throw new Error(`part ${number + 1}: ${answer.statusCode}`);
  }
  const seconds = (performance.now() - since) / 1_000;
  client.end();
  return seconds;
}
