/** Sends what a job writes to the request that is held for the task: what is there, or what comes until the job has ended. */
import { setTimeout as sleep } from 'node:timers/promises';
import { BrokerError, toBrokerError } from '../../../shared/errors/broker-error.ts';
import type { jobLogs } from '../../../shared/operations/compute/job-logs.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import { pathNotAllowed } from '../../../shared/operations/paths.ts';
import type { TakeChunk } from '../../ssh/open-file.ts';
import { hasEnded, standingOf } from '../../watches/standing.ts';
import type { OperationContext } from '../operation-context.ts';
import { createFollowedFile } from './followed-file.ts';
import { createLogEncoder } from './log-events.ts';

type Input = InputOf<typeof jobLogs>;
type Result = ResultOf<typeof jobLogs>;
type Context = Pick<
  OperationContext,
  'jobs' | 'scheduler' | 'host' | 'files' | 'pathGate' | 'system' | 'exchange' | 'signal' | 'task' | 'logs'
>;

/** Of one read of a followed file. */
const chunkBytes = 64 * 1024;
/** Between two looks whether the job has ended; many who follow share one query. */
const standingMs = 2_000;
/** A connection without a byte is taken for dead after 30 s. */
const heartbeatMs = 10_000;
/** A stream ends in order so long before its task runs out. */
const closingMs = 500;

export async function handleJobLogs(input: Input, context: Context): Promise<Result> {
  const path = await findPath(input, context);
  return input.follow ? follow(path, input, context) : sendPart(path, input, context);
}

/** Where the job writes. JobNotFound, SchedulerFailed; FileNotFound where that is not known, InvalidRequest for several files. */
async function findPath({ jobId, stream }: Input, context: Context): Promise<string> {
  const { scheduler, host, jobs, pathGate, system, signal } = context;
  const work = (shared: AbortSignal) => scheduler.metadata(host, { jobId, signal: shared });
  const parts = await jobs.share(['metadata', jobId], work);
  if (parts.length > 1) {
    throw new BrokerError(
      'InvalidRequest',
      'The job has several parts: ask for one of them, such as 12_3 of an array.',
    );
  }
  const path = stream === 'stdout' ? parts[0]?.standardOutput : parts[0]?.standardError;
  if (!path) throw new BrokerError('FileNotFound', `The scheduler does not tell where the job writes its ${stream}.`);
  if (!(await pathGate.contains(path, signal))) throw pathNotAllowed(path, system.name);
  return path;
}

/** What is there now from the offset on, bounded. */
async function sendPart(path: string, { offset }: Input, { files, exchange, logs, signal }: Context): Promise<Result> {
  exchange.announce();
  return files.withOpenFile(
    path,
    async (file) => {
      const lengthBytes = Math.min(logs.bytesMax, Math.max(0, file.sizeBytes - offset));
      const headers = { 'content-type': 'text/plain; charset=utf-8', 'content-length': lengthBytes };
      let sentBytes = 0;
      await exchange.send({ status: 200, headers }, async (take) => {
        sentBytes = await file.stream(offset, lengthBytes, take);
        if (sentBytes < lengthBytes)
          throw new BrokerError('TransferBroken', 'The file became shorter while it was read.');
      });
      return { sentBytes, offset: offset + sentBytes };
    },
    { signal, isOnce: true },
  );
}

type Ending = 'ended' | 'bytes' | 'time';

async function follow(path: string, input: Input, context: Context): Promise<Result> {
  const encoder = createLogEncoder(input.lastEventId ?? input.offset);
  let sentBytes = 0;
  const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' };
  await context.exchange.send({ status: 200, headers }, async (take) => {
    await say(take, 'retry: 2000\n\n');
    const pumped = await pump(path, encoder, take, input, context);
    sentBytes = pumped.sentBytes;
    await say(take, encoder.flush());
    const data = { offset: encoder.offset(), reason: pumped.ending };
    await say(take, `id: ${encoder.offset()}\nevent: end\ndata: ${JSON.stringify(data)}\n\n`);
  });
  return { sentBytes, offset: encoder.offset() };
}

async function say(take: TakeChunk, text: string): Promise<void> {
  if (text !== '') await take(Buffer.from(text));
}

/** Reads until the job has ended and the file with it, or a bound is met. A file that began anew is read from its beginning. */
async function pump(
  path: string,
  encoder: ReturnType<typeof createLogEncoder>,
  take: TakeChunk,
  { jobId }: Input,
  context: Context,
): Promise<{ ending: Ending; sentBytes: number }> {
  const { files, logs, task, signal } = context;
  const file = createFollowedFile(path, files, encoder.offset());
  let sentBytes = 0;
  let isOver = false;
  let askedAt = 0;
  let saidAt = Date.now();
  for (;;) {
    const left = logs.bytesMax - sentBytes;
    if (left <= 0) return { ending: 'bytes', sentBytes };
    if (Date.now() >= task.deadlineAt - closingMs) return { ending: 'time', sentBytes };
    // Asked before the read: what was written before the end is then read.
    if (!isOver && Date.now() - askedAt >= standingMs) {
      isOver = await isJobOver(jobId, context);
      askedAt = Date.now();
    }
    const bytes = await file
      .look(Math.min(chunkBytes, left), { signal })
      .catch((error: unknown) => emptyWhileMissing(error, isOver));
    if (bytes === 'anew') {
      await say(take, encoder.restart());
      continue;
    }
    sentBytes += bytes.length;
    const text = bytes.length > 0 ? encoder.take(bytes) : '';
    if (text !== '') await say(take, text);
    else if (Date.now() - saidAt > heartbeatMs) await say(take, ': still here\n\n');
    if (text !== '' || Date.now() - saidAt > heartbeatMs) saidAt = Date.now();
    if (bytes.length > 0) continue;
    if (isOver) return { ending: 'ended', sentBytes };
    await sleep(logs.intervalMs, undefined, { signal });
  }
}

/** A job that waits has no file yet; one that ended without writing has none at all. */
function emptyWhileMissing(thrown: unknown, isOver: boolean): Buffer {
  const error = toBrokerError(thrown);
  if (error.code === 'FileNotFound') return Buffer.alloc(0);
  throw isOver ? error : thrown;
}

/** Where the scheduler does not answer it is asked again; one that forgot the job has seen its end. */
async function isJobOver(jobId: string, { jobs, signal }: Context): Promise<boolean> {
  try {
    const standing = standingOf((await jobs.get(jobId)).jobs);
    return standing !== undefined && hasEnded(standing.state);
  } catch (thrown) {
    signal.throwIfAborted();
    return toBrokerError(thrown).code === 'JobNotFound';
  }
}
