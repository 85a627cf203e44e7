/**
 * Uploads or downloads one file of any size through the staging store, and goes on where it stopped when it is run again.
 *
 *     GOLDCREST_URL=… GOLDCREST_TOKEN=… node --import tsx docs/examples/transfer-file.ts upload LOCAL SYSTEM REMOTE
 *     GOLDCREST_URL=… GOLDCREST_TOKEN=… node --import tsx docs/examples/transfer-file.ts download LOCAL SYSTEM REMOTE
 *
 * What is done stands in LOCAL.transfer: the task, and a line with number and ETag for each part that the store has. Needs Node.js 20 alone.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { appendFile, open, readFile, rm, stat, writeFile } from 'node:fs/promises';

const url = process.env.GOLDCREST_URL ?? '';
const headers = { authorization: `Bearer ${process.env.GOLDCREST_TOKEN}`, 'content-type': 'application/json' };
const partsAtOnce = 4;

interface Progress {
  taskId: string;
  /** By the number of the part. */
  etags: Map<number, string>;
}

const say = (line: string) => process.stdout.write(`${line}\n`);

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

/** Asks until it does not throw; the task is looked at by a worker first. */
async function eventually<T>(ask: () => Promise<T>, seconds = 60): Promise<T> {
  for (let left = seconds; ; left -= 1) {
    try {
      return await ask();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}

async function sha256Of(local: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(local)) hash.update(chunk);
  return hash.digest('hex');
}

/** The result of the task; throws what it failed with. */
async function ended(taskId: string): Promise<{ bytes: number; sha256: string }> {
  for (;;) {
    const task = await call<{ state: string; result: { bytes: number; sha256: string }; error?: { message: string } }>(
      'GET',
      `/tasks/${taskId}`,
    );
    if (task.state === 'completed') return task.result;
    if (task.state === 'failed' || task.state === 'canceled') throw new Error(task.error?.message ?? task.state);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** What an earlier run has done of it, or a new task. */
async function beginOrGoOn(state: string, operation: string, system: string, input: object): Promise<Progress> {
  const known = await readFile(state, 'utf8').catch(() => null);
  if (known !== null) {
    const [taskId = '', ...lines] = known.split('\n').slice(0, -1);
    return { taskId, etags: new Map(lines.map((line) => JSON.parse(line) as [number, string])) };
  }
  const { id } = await call<{ id: string }>('POST', '/tasks', { operation, system, input });
  await writeFile(state, `${id}\n`);
  return { taskId: id, etags: new Map() };
}

async function upload(local: string, system: string, path: string): Promise<void> {
  const state = `${local}.transfer`;
  const { size: fileSize } = await stat(local);
  const transferDirectives = { transferMethod: 's3', fileSize, sha256: await sha256Of(local) };
  const { taskId, etags } = await beginOrGoOn(state, 'transfer.upload', system, { path, transferDirectives });
  type Plan = { partSizeBytes: number; partsCount: number; completeUrl: string; parts: { url: string }[] };
  const plan = await eventually(() => call<Plan>('GET', `/tasks/${taskId}/transfer?count=1`));
  const file = await open(local);
  const missing = Array.from({ length: plan.partsCount }, (_, n) => n + 1).filter((n) => !etags.has(n));
  const sendNext = async (): Promise<void> => {
    for (let number = missing.shift(); number !== undefined; number = missing.shift()) {
      // Each address is asked for when it is used, so that none runs out.
      const { parts } = await call<Plan>('GET', `/tasks/${taskId}/transfer?first=${number}&count=1`);
      const at = (number - 1) * plan.partSizeBytes;
      const body = Buffer.alloc(Math.min(plan.partSizeBytes, fileSize - at));
      await file.read(body, 0, body.length, at);
      const put = await fetch(parts[0]?.url ?? '', { method: 'PUT', body });
      if (!put.ok) throw new Error(`part ${number}: ${put.status}`);
      const etag = put.headers.get('etag') ?? '';
      etags.set(number, etag);
      await appendFile(state, `${JSON.stringify([number, etag])}\n`);
      say(`part ${number} of ${plan.partsCount}`);
    }
  };
  await Promise.all(Array.from({ length: partsAtOnce }, sendNext));
  await file.close();
  const list = Array.from({ length: plan.partsCount }, (_, n) => {
    return `<Part><PartNumber>${n + 1}</PartNumber><ETag>${etags.get(n + 1)}</ETag></Part>`;
  });
  const { completeUrl } = await call<Plan>('GET', `/tasks/${taskId}/transfer?count=1`);
  const completed = await fetch(completeUrl, {
    method: 'POST',
    body: `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`,
  });
  if (!completed.ok) throw new Error(`the store did not complete the upload: ${await completed.text()}`);
  say(`${path}: ${JSON.stringify(await ended(taskId))}`);
  await rm(state);
}

async function download(local: string, system: string, path: string): Promise<void> {
  const state = `${local}.transfer`;
  const input = { path, transferDirectives: { transferMethod: 's3' } };
  const { taskId } = await beginOrGoOn(state, 'transfer.download', system, input);
  const { bytes, sha256 } = await ended(taskId);
  const file = await open(local, 'a');
  const { size: done } = await file.stat();
  if (done < bytes) {
    const { downloadUrl } = await call<{ downloadUrl: string }>('GET', `/tasks/${taskId}/transfer`);
    const answer = await fetch(downloadUrl, { headers: { range: `bytes=${done}-` } });
    if (answer.status !== 206 || answer.body === null) throw new Error(`the store answered ${answer.status}`);
    for await (const chunk of answer.body) await file.write(chunk);
  }
  await file.close();
  if ((await sha256Of(local)) !== sha256) throw new Error(`${local} is not what ${path} is`);
  say(`${local}: ${JSON.stringify({ bytes, sha256 })}`);
  await rm(state);
}

const [way = '', local = '', system = '', remote = ''] = process.argv.slice(2);
await (way === 'upload' ? upload : download)(local, system, remote);
