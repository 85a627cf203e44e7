/**
 * The bytes of one part on their way through the worker: by a signed address of the store on one side, by the output or
 * the input of a command on the cluster on the other. A few MiB are under way at a time, whatever the size of the part;
 * each side waits for the other.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { remoteFailure } from '../operations/remote-failure.ts';
import type { RemoteShell, RunResult } from '../ssh/remote-shell.ts';
import { moverExit, spaceSayings } from './mover-programs.ts';
import { readPartProgram, writePartProgram } from './relay-programs.ts';
import { callStore, drained, otherBytes, passing, type StoreCall } from './store-call.ts';
import type { WayIn } from './way-in.ts';

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
  /** Told of bytes that were passed on; of none where a part is still read for its digest. */
  onBytes: (count: number) => void;
}

/** Bytes that may wait for the store: with fewer, each chunk would wait for the one before. */
const aheadBytes = 2 ** 20;
/** What goes to the store in one system call. */
const writeBytes = 2 ** 18;
/** What does not come to as much goes after this: a source that is slow must not make the store seem silent. */
const gatherMs = 10;
/** A part may take very long over a slow link; who is silent is found out before. */
const partTimeoutMs = 24 * 3_600_000;

/** A cluster that reads a part for its digest says so after as many seconds: a slow file system is not silent. */
const beatSeconds = 10;

/** What a command says where its work has ended before its time, or is not there. */
export const workIsOver = 72;

/** A command that was ended, as by a host that goes down, says nothing of the bytes. Null: it ended by itself. */
export function endedFromOutside({ exitCode }: Pick<RunResult, 'exitCode'>): BrokerError | null {
  if (exitCode !== null && exitCode <= 128) return null;
  return new BrokerError('SshUnavailable', 'The command on the cluster was ended by a signal.');
}

/**
 * From the file into the store; null: the work on the cluster has ended. What arrived in the store is what the cluster
 * read, by a digest that was made before. StagingUnavailable, TransferFailed.
 */
export async function sendPart(
  { path, offsetBytes, sizeBytes }: PartRange,
  { algorithm, sign }: WayIn,
  workName: string,
  { shell, signal, onBytes }: Relay,
): Promise<{ etag: string } | null> {
  const stop = new AbortController();
  let begun: Sending | undefined;
  const begin = async (digest: string): Promise<Sending> => {
    const { url, headers } = await sign(digest);
    const wish = { method: 'PUT', headers, signal: AbortSignal.any([signal, stop.signal]) } as const;
    begun = beginSending({ url, wish, digest, sizeBytes }, onBytes);
    return begun;
  };
  const words = [workName, path, String(offsetBytes), String(sizeBytes), algorithm, String(beatSeconds)];
  const argv = ['sh', '-c', readPartProgram, 'goldcrest-push', ...words];
  try {
    const onOutput = behindDigest(algorithm, { begin, beat: () => onBytes(0), take: (chunk) => begun?.take(chunk) });
    const result = await shell.run(argv, { signal, onOutput, timeoutMs: partTimeoutMs });
    if (result.exitCode === workIsOver) {
      stop.abort();
      return null;
    }
    const ended = endedFromOutside(result);
    if (ended !== null) throw ended;
    if (begun?.sentBytes() !== sizeBytes)
      throw new BrokerError('TransferFailed', 'The file changed while it was read.');
  } catch (error) {
    stop.abort();
    throw error;
  }
  return { etag: await begun.end(algorithm) };
}

/** A part that is on its way into the store. */
interface Sending {
  /** What it returns is to be waited for. */
  take: (chunk: Buffer) => undefined | Promise<void>;
  sentBytes: () => number;
  /** The part's ETag, once the store has it. */
  end: (algorithm: WayIn['algorithm']) => Promise<string>;
}

interface Begun {
  url: string;
  wish: StoreCall;
  digest: string;
  sizeBytes: number;
}

function beginSending({ url, wish, digest, sizeBytes }: Begun, onBytes: Relay['onBytes']): Sending {
  const { body, answer } = callStore(url, wish);
  const answered = answer.then(drained);
  answered.catch(() => undefined); // told below
  const gathered = gatheredWrites(body);
  let sent = 0;
  return {
    take(chunk) {
      sent += chunk.length;
      if (sent > sizeBytes) {
        // The store would take it for another request.
        body.destroy();
        return Promise.reject(new BrokerError('TransferFailed', 'The cluster sent more than the part.'));
      }
      onBytes(chunk.length);
      // A store that refused has ended the call before all was sent.
      if (body.destroyed) return answered.then(() => undefined);
      if (gathered.write(chunk) || body.writableLength < aheadBytes) return undefined;
      return roomIn(body).then(() => (body.destroyed ? answered.then(() => undefined) : undefined));
    },
    sentBytes: () => sent,
    async end(algorithm) {
      gathered.end();
      const { headers } = await answered;
      const etag = (headers.etag ?? '').replaceAll('"', '');
      // An ETag of 32 digits is the part's MD5, but where the store encrypts with keys of a service.
      const isDigest =
        /^[0-9a-f]{32}$/.test(etag) && !/^aws:kms/.test(String(headers['x-amz-server-side-encryption'] ?? ''));
      if (etag === '' || (algorithm === 'md5' && isDigest && etag !== digest)) throw passing(otherBytes);
      return etag;
    },
  };
}

/** Characters of a digest in hexadecimal. */
const digestChars = { sha256: 64, md5: 32 } as const;

/** As many spaces as come before the digest at most; more are no sign of somebody who reads. */
const beatsMax = partTimeoutMs / (beatSeconds * 1_000);

interface DigestListener {
  begin: (digest: string) => Promise<unknown>;
  beat: () => void;
  take: (chunk: Buffer) => undefined | Promise<void>;
}

/** Hands the digest in the first line of an output to `begin`, and what follows, once that is done, to `take`. */
function behindDigest(
  algorithm: WayIn['algorithm'],
  { begin, beat, take }: DigestListener,
): (chunk: Buffer) => undefined | Promise<void> {
  const length = digestChars[algorithm];
  let beats = 0;
  let line: Buffer | null = Buffer.alloc(0);
  const withoutBeats = (chunk: Buffer): Buffer => {
    let at = 0;
    while (chunk[at] === 0x20 && beats + at < beatsMax) at += 1;
    beats += at;
    if (at > 0) beat();
    return chunk.subarray(at);
  };
  return (output) => {
    if (line === null) return take(output);
    const chunk = line.length > 0 ? output : withoutBeats(output);
    const said: Buffer = Buffer.concat([line, chunk.subarray(0, length + 1 - line.length)]);
    const rest = chunk.subarray(said.length - line.length);
    line = said;
    if (!/^[0-9a-f]*\n?$/.test(said.toString('latin1')) || said.length > length !== said.includes('\n')) {
      return Promise.reject(new BrokerError('TransferFailed', 'The cluster said no digest of the part.'));
    }
    if (said.length <= length) return undefined;
    line = null;
    return begin(said.toString('latin1', 0, length)).then(() => (rest.length > 0 ? take(rest) : undefined));
  };
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
  const call = callStore(url, { method: 'GET', headers: { range }, signal });
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
