/**
 * A fake of an S3 store, for what no real one on this machine can show: what a relay does where the processor time of the
 * store is spent elsewhere. The lab's own takes more of the shared cores than cluster and relay together. It is told
 * beforehand which bytes each part has, holds every byte that comes against them, and answers with the MD5 made of them
 * then. It knows the calls of one upload in parts, looks at no signature and keeps nothing.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { S3Facts } from '../lab/parts/s3.ts';

export interface FakeStore {
  facts: S3Facts;
  /** A line for each request that it refused: one that it does not know, or bytes that are not those of a part. */
  refused: readonly string[];
  close(): Promise<void>;
}

/** A store of objects each part of which is one `block` or two, of whole MiB. */
export async function openFakeStore(block: Buffer): Promise<FakeStore> {
  const program = fileURLToPath(new URL('fake-store.py', import.meta.url));
  const child = spawn('python3', ['-I', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  child.stdin.end(block);
  const [port] = (await once(lines, 'line')) as [string];
  const refused: string[] = [];
  lines.on('line', (line) => refused.push(line));
  const keys = { accessKeyId: 'fake', secretAccessKey: 'fake' };
  return {
    facts: { endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', ...keys, confPath: '' },
    refused,
    async close() {
      const closed = once(child, 'close');
      child.kill();
      await closed;
    },
  };
}
