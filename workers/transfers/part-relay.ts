/**
 * The bytes of one part on their way through the worker: by a signed address of the store on one side, by SFTP on the
 * other. A few MiB are under way at a time, whatever the size of the part; each side waits for the other.
 */
import { createHash } from 'node:crypto';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { RemoteFiles } from '../ssh/remote-files.ts';

/** A part of a file. */
export interface PartRange {
  path: string;
  offsetBytes: number;
  sizeBytes: number;
}

/** Written in one go, with as many requests under way as SFTP takes. */
const blockBytes = 4 * 2 ** 20;
/** Without a byte for so long, a store is taken for dead. */
const silenceMs = 30_000;

interface Call {
  method: 'GET' | 'PUT';
  headers: Record<string, string | number>;
  signal: AbortSignal;
}

/** From the file into the store. What arrived there is what was read, by its MD5. StagingUnavailable, TransferFailed. */
export async function sendPart(
  { path, offsetBytes, sizeBytes }: PartRange,
  url: string,
  files: RemoteFiles,
  signal: AbortSignal,
): Promise<{ sha256: string; etag: string }> {
  const sha256 = createHash('sha256');
  const md5 = createHash('md5');
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const call = open(url, { method: 'PUT', headers: { 'content-length': sizeBytes }, signal: both });
  const answered = call.answer.then(drained);
  answered.catch(() => undefined); // told below
  try {
    const sent = await files.withOpenFile(
      path,
      (file) =>
        file.stream(offsetBytes, sizeBytes, (chunk) => {
          sha256.update(chunk);
          md5.update(chunk);
          return call.body.write(chunk) ? undefined : Promise.race([once(call.body), answered.then(() => undefined)]);
        }),
      { signal },
    );
    if (sent !== sizeBytes) throw new BrokerError('TransferFailed', 'The file changed while it was read.');
  } catch (error) {
    stop.abort();
    throw error;
  }
  call.body.end();
  const { headers } = await answered;
  const etag = (headers.etag ?? '').replaceAll('"', '');
  // An ETag of 32 digits is the part's MD5, but where the store encrypts with keys of a service.
  const isDigest = /^[0-9a-f]{32}$/.test(etag) && headers['x-amz-server-side-encryption'] !== 'aws:kms';
  if (etag === '' || (isDigest && etag !== md5.digest('hex'))) throw passing('The store has not what was sent.');
  return { sha256: sha256.digest('hex'), etag };
}

/** From the store into the file, at its place there. StagingUnavailable, TransferFailed, and what writing throws. */
export async function fetchPart(
  { path, offsetBytes, sizeBytes }: PartRange,
  url: string,
  files: RemoteFiles,
  signal: AbortSignal,
): Promise<{ sha256: string }> {
  const sha256 = createHash('sha256');
  if (sizeBytes === 0) return { sha256: sha256.digest('hex') };
  const range = `bytes=${offsetBytes}-${offsetBytes + sizeBytes - 1}`;
  const call = open(url, { method: 'GET', headers: { range }, signal });
  call.body.end();
  const answer = await call.answer;
  if (Number(answer.headers['content-length']) !== sizeBytes) {
    answer.destroy();
    throw new BrokerError('TransferFailed', 'The store answered a range with another number of bytes.');
  }
  let at = offsetBytes;
  let writing: Promise<void> = Promise.resolve();
  const flush = async (block: Buffer): Promise<void> => {
    await writing;
    writing = files.writeRange(path, at, block, { signal });
    writing.catch(() => undefined); // told by the next wait
    at += block.length;
  };
  try {
    for await (const block of blocks(answer)) {
      sha256.update(block);
      await flush(block);
    }
    await writing;
  } finally {
    answer.destroy();
  }
  if (at - offsetBytes !== sizeBytes) throw passing('The store ended a range early.');
  return { sha256: sha256.digest('hex') };
}

/** Chunks gathered to blocks; what breaks the answer is a passing fault of the store. */
async function* blocks(answer: IncomingMessage): AsyncGenerator<Buffer> {
  let gathered: Buffer[] = [];
  let bytes = 0;
  const chunks = answer[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  for (;;) {
    const { value, done } = await chunks.next().catch((error: unknown) => {
      throw passing('The store broke off.', error);
    });
    if (done === true) break;
    gathered.push(value);
    bytes += value.length;
    if (bytes < blockBytes) continue;
    yield Buffer.concat(gathered, bytes);
    gathered = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(gathered, bytes);
}

/** A request of which the head goes at once. `answer` rejects unless the store took it; an abort rejects with its reason. */
function open(url: string, { method, headers, signal }: Call) {
  const request = url.startsWith('https:') ? requestHttps : requestHttp;
  const body = request(url, { method, headers, signal });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    body.setTimeout(silenceMs, () => body.destroy(new Error('the store is silent')));
    body.on('error', (error) => reject(signal.aborted ? signal.reason : passing('The store does not answer.', error)));
    body.on('response', (response) => {
      const status = response.statusCode ?? 0;
      if (status === 200 || status === 206) resolve(response);
      else {
        response.resume();
        body.destroy();
        reject(refusal(status));
      }
    });
  });
  answer.catch(() => undefined); // told to who waits for it
  return { body, answer };
}

function refusal(status: number): BrokerError {
  if (status >= 500 || status === 429 || status === 408) return passing(`The staging store answered ${status}.`);
  return new BrokerError('TransferFailed', `The staging store refused a part with status ${status}.`);
}

function passing(message: string, cause?: unknown): BrokerError {
  return new BrokerError('StagingUnavailable', message, { cause, retryAfterSeconds: 2 });
}

/** Resolves when there is room again, or none will ever be. */
function once(body: ReturnType<typeof requestHttp>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      body.off('drain', done);
      body.off('close', done);
      resolve();
    };
    body.on('drain', done);
    body.on('close', done);
  });
}

async function drained(answer: IncomingMessage): Promise<IncomingMessage> {
  for await (const _chunk of answer);
  return answer;
}
