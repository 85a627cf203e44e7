/**
 * The bytes of one part on their way through the worker: by a signed address of the store on one side, by the output or
 * the input of a command on the cluster on the other. A few MiB are under way at a time, whatever the size of the part;
 * each side waits for the other.
 */
import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { remoteFailure } from '../operations/remote-failure.ts';
import type { RemoteShell, RunResult } from '../ssh/remote-shell.ts';
import { moverExit, spaceSayings } from './mover-programs.ts';
import { readPartProgram, writePartProgram } from './relay-programs.ts';

/** A part of a file. */
export interface PartRange {
  path: string;
  /** From 0. */
  number: number;
  offsetBytes: number;
  sizeBytes: number;
}

export interface Relay {
  shell: RemoteShell;
  signal: AbortSignal;
  /** Told of bytes that were passed on. */
  onBytes: (count: number) => void;
}

/** Bytes that may wait for the store: with fewer, each chunk would wait for the one before. */
const aheadBytes = 2 ** 20;
/** What goes to the store in one system call. */
const writeBytes = 2 ** 18;
/** What does not come to as much goes after this: a source that is slow must not make the store seem silent. */
const gatherMs = 10;
/** Without a byte for so long, a store is taken for dead. */
const silenceMs = 30_000;
/** A part may take very long over a slow link; who is silent is found out before. */
const partTimeoutMs = 24 * 3_600_000;

interface Call {
  method: 'GET' | 'PUT';
  headers: Record<string, string | number>;
  signal: AbortSignal;
}

/** What a command says where its work has ended before its time, or is not there. */
export const workIsOver = 72;

/** A command that was ended, as by a host that goes down, says nothing of the bytes. Null: it ended by itself. */
export function endedFromOutside({ exitCode }: Pick<RunResult, 'exitCode'>): BrokerError | null {
  if (exitCode !== null && exitCode <= 128) return null;
  return new BrokerError('SshUnavailable', 'The command on the cluster was ended by a signal.');
}

/**
 * From the file into the store; null: the work on the cluster has ended. What arrived in the store is what the cluster
 * read, by its MD5. StagingUnavailable, TransferFailed.
 */
export async function sendPart(
  { path, offsetBytes, sizeBytes }: PartRange,
  url: string,
  workName: string,
  { shell, signal, onBytes }: Relay,
): Promise<{ etag: string } | null> {
  const stop = new AbortController();
  const call = open(url, {
    method: 'PUT',
    headers: { 'content-length': sizeBytes },
    signal: AbortSignal.any([signal, stop.signal]),
  });
  const answered = call.answer.then(drained);
  answered.catch(() => undefined); // told below
  let sent = 0;
  const gathered = gatheredWrites(call.body);
  const onOutput = (chunk: Buffer): undefined | Promise<void> => {
    sent += chunk.length;
    onBytes(chunk.length);
    // A store that refused has ended the call before all was sent.
    if (call.body.destroyed) return answered.then(() => undefined);
    if (gathered.write(chunk) || call.body.writableLength < aheadBytes) return undefined;
    return roomIn(call.body).then(() => (call.body.destroyed ? answered.then(() => undefined) : undefined));
  };
  const words = [workName, path, String(offsetBytes), String(sizeBytes)];
  const argv = ['sh', '-c', readPartProgram, 'goldcrest-push', ...words];
  let said: string;
  try {
    const result = await shell.run(argv, { signal, onOutput, timeoutMs: partTimeoutMs });
    said = result.stderr.toString();
    if (result.exitCode === workIsOver) {
      stop.abort();
      return null;
    }
    const ended = endedFromOutside(result);
    if (ended !== null) throw ended;
    if (sent !== sizeBytes) throw new BrokerError('TransferFailed', 'The file changed while it was read.');
  } catch (error) {
    stop.abort();
    throw error;
  }
  gathered.end();
  const { headers } = await answered;
  const etag = (headers.etag ?? '').replaceAll('"', '');
  // An ETag of 32 digits is the part's MD5, but where the store encrypts with keys of a service.
  const isDigest = /^[0-9a-f]{32}$/.test(etag) && headers['x-amz-server-side-encryption'] !== 'aws:kms';
  if (etag === '' || (isDigest && !said.includes(etag))) throw passing('The store has not what was sent.');
  return { etag };
}

/**
 * From the store into the file, at its place there; null: the work on the cluster has ended. StagingUnavailable,
 * TransferFailed, and what writing throws.
 */
export async function fetchPart(
  { path, number, offsetBytes, sizeBytes }: PartRange,
  url: string,
  workName: string,
  { shell, signal, onBytes }: Relay,
): Promise<{ etag?: never } | null> {
  const range = `bytes=${offsetBytes}-${offsetBytes + sizeBytes - 1}`;
  const call = open(url, { method: 'GET', headers: { range }, signal });
  call.body.end();
  const answer = await call.answer;
  if (Number(answer.headers['content-length']) !== sizeBytes) {
    answer.destroy();
    throw new BrokerError('TransferFailed', 'The store answered a range with another number of bytes.');
  }
  const words = [workName, String(number), path, String(offsetBytes), String(sizeBytes)];
  try {
    const result = await shell.run(['sh', '-c', writePartProgram, 'goldcrest-pull', ...words], {
      signal,
      stdin: counted(answer, onBytes),
      timeoutMs: partTimeoutMs,
    });
    if (result.exitCode === workIsOver) return null;
    if (result.exitCode === moverExit.damaged) throw passing('The bytes did not come to the cluster.');
    if (result.exitCode !== 0) throw endedFromOutside(result) ?? remoteFailure('dd', result, spaceSayings);
    return {};
  } finally {
    answer.destroy();
  }
}

/** What breaks the answer is a passing fault of the store. */
async function* counted(answer: IncomingMessage, onBytes: (count: number) => void): AsyncGenerator<Buffer> {
  const chunks = answer[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  for (;;) {
    const { value, done } = await chunks.next().catch((error: unknown) => {
      throw passing('The store broke off.', error);
    });
    if (done === true) return;
    onBytes(value.length);
    yield value;
  }
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
        reject(refusal(status, url));
      }
    });
  });
  answer.catch(() => undefined); // told to who waits for it
  return { body, answer };
}

function refusal(status: number, url: string): BrokerError {
  if (status === 403 && hasRunOut(url)) return passing('The address of a part ran out before it was used.');
  if (status >= 500 || status === 429 || status === 408) return passing(`The staging store answered ${status}.`);
  return new BrokerError('TransferFailed', `The staging store refused a part with status ${status}.`);
}

/** Whether the time of a signed address is up, as it says itself. */
function hasRunOut(url: string): boolean {
  const { searchParams } = new URL(url);
  const signed = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(searchParams.get('X-Amz-Date') ?? '');
  if (signed === null) return false;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = signed.slice(1).map(Number);
  const signedAt = Date.UTC(year, month - 1, day, hour, minute, second);
  return Date.now() >= signedAt + Number(searchParams.get('X-Amz-Expires')) * 1_000;
}

function passing(message: string, cause?: unknown): BrokerError {
  return new BrokerError('StagingUnavailable', message, { cause, retryAfterSeconds: 2 });
}

/** Chunks of an SSH packet each go to the socket in one system call for many; few wait for no more than `gatherMs`. */
function gatheredWrites(body: ClientRequest): { write: (chunk: Buffer) => boolean; end: () => void } {
  let waiting: Buffer[] = [];
  let bytes = 0;
  let timer: NodeJS.Timeout | undefined;
  const flush = (): boolean => {
    clearTimeout(timer);
    timer = undefined;
    let hasRoom = true;
    if (!body.destroyed) {
      body.cork();
      for (const chunk of waiting) hasRoom = body.write(chunk);
      body.uncork();
    }
    waiting = [];
    bytes = 0;
    return hasRoom;
  };
  return {
    write(chunk) {
      waiting.push(chunk);
      bytes += chunk.length;
      if (bytes >= writeBytes) return flush();
      timer ??= setTimeout(flush, gatherMs);
      return true;
    },
    end() {
      flush();
      body.end();
    },
  };
}

/** Resolves when there is room again, or none will ever be. */
function roomIn(body: ClientRequest): Promise<void> {
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
