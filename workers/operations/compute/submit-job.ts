/**
 * Submits a batch job exactly once. The intent is journaled before the scheduler is asked; where the answer is lost, the
 * next attempt looks for the job by its key and submits again only when it is proven that there is none.
 */
import { BrokerError, toBrokerError } from '../../../shared/errors/broker-error.ts';
import type { submitJob } from '../../../shared/operations/compute/submit-job.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import { jobKey } from '../../schedulers/job-key.ts';
import { hasEnded, standingOf } from '../../watches/standing.ts';
import type { OperationContext } from '../operation-context.ts';
import { refuseUnwanted } from '../refuse-unwanted.ts';
import { countEmptyLook, lagWindowMs, readSubmission, type SubmissionEntry } from './submission-journal.ts';

type Input = InputOf<typeof submitJob>;
type Result = ResultOf<typeof submitJob>;

/** What a command may outlive its time-out by: the grace before SIGKILL, and the way there. */
const killGraceMs = 5_000;

/** A handler that was told to stop has a little longer than this. */
const cancelMsMax = 10_000;

/** Time before the first look after a doubt: a job that was accepted is in the queue by then. */
const firstLookSeconds = 1;

/**
 * One attempt. Throws what the scheduler says where it refused; SubmissionInDoubt, with the time to look again, while a
 * job may or may not exist. Never TaskCanceled or DeadlineExceeded while a job may exist: that of a canceled task is canceled by its id.
 */
export async function handleSubmitJob(input: Input, context: OperationContext): Promise<Result> {
  const entry = readSubmission(context.journal.entry);
  if (entry?.phase === 'intended') return watched(input, await resolve(input, entry, context), context);
  // Before there is a job: one that could not be watched would be there all the same.
  if (input.watch) await context.watches.ensureRoom();
  return watched(input, await submit(input, entry, context), context);
}

/** The job is there: what cannot be written now is written by the next attempt, which finds the job by its key. */
async function watched({ watch }: Input, { jobId }: Result, { watches }: OperationContext): Promise<Result> {
  if (!watch) return { jobId };
  return { jobId, watchId: await watches.begin(jobId, null, 'promised').catch(stayInDoubt) };
}

/** No job exists: one may be submitted, unless nobody wants it any more. */
async function submit({ job }: Input, earlier: SubmissionEntry | null, context: OperationContext): Promise<Result> {
  const { scheduler, host, journal, signal, task } = context;
  refuseUnwanted(context);
  const key = jobKey(task.id);
  const at = Date.now();
  const entry: SubmissionEntry = {
    phase: 'intended',
    key,
    attempt: task.attempt,
    firstAt: earlier?.firstAt ?? at,
    at,
    emptyLookAt: null,
  };
  const intended = journal.write(entry);
  intended.catch(() => undefined); // awaited by the adapter, and below
  let made: Result;
  try {
    made = await scheduler.submit(host, { job, key, signal, intended });
  } catch (thrown) {
    await intended;
    const error = toBrokerError(thrown);
    if (isDoubt(error)) throw inDoubt(error.message, firstLookSeconds, { cause: error, detail: error.detail });
    // Nothing was submitted, so that a later attempt need not look for it.
    await journal.write({ ...entry, phase: 'refused' }).catch(stayInDoubt);
    throw error;
  }
  // The wish came too late to stop sbatch, and is for the job all the same.
  if (isCanceled(signal)) await cancelUnwanted(made.jobId, { ...context, signal: AbortSignal.timeout(cancelMsMax) });
  return made;
}

/** A job may exist: look, and decide only on what is certain. */
async function resolve(input: Input, entry: SubmissionEntry, context: OperationContext): Promise<Result> {
  const { scheduler, host, journal, signal, system, log } = context;
  const request = { key: entry.key, submittedAfter: entry.firstAt, signal };
  const { jobIds, isCertain } = await scheduler.findByKey(host, request).catch(stayInDoubt);
  const [jobId, ...others] = jobIds;
  if (jobId !== undefined) {
    if (others.length > 0) await cancelOthers(others, jobId, context);
    if (context.task.isCancelRequested) await cancelUnwanted(jobId, context);
    return { jobId };
  }
  if (!isCertain) throw inDoubt('The scheduler could not be asked whether it took the job.', lagWindowMs / 1_000);
  // The controller's own word that it is well: an empty list from one that is just coming up proves nothing.
  await scheduler.ping(host, signal).catch(stayInDoubt);
  const look = countEmptyLook(entry, Date.now(), system.scheduler.timeoutMs + killGraceMs);
  await journal.write(look.entry).catch(stayInDoubt);
  if (look.waitMs > 0) {
    const seconds = look.waitMs / 1_000;
    throw inDoubt('No job was found yet; the broker looks again before it submits it once more.', seconds);
  }
  log.warn({ key: entry.key }, 'the scheduler has no job of the lost submission');
  return submit(input, look.entry, context);
}

function isCanceled({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof BrokerError && reason.code === 'TaskCanceled';
}

/** The job of a task that was canceled. Throws TaskCanceled when it was canceled too; one that had ended before is told as it is. */
async function cancelUnwanted(jobId: string, { scheduler, host, signal, log }: OperationContext): Promise<void> {
  await scheduler.cancel(host, { jobId, signal }).catch(stayInDoubt);
  const standing = standingOf(await scheduler.get(host, { jobId, signal }).catch(stayInDoubt));
  if (standing !== undefined && hasEnded(standing.state) && standing.state !== 'CANCELLED') return;
  log.info({ jobId }, 'the job of a canceled submission was canceled');
  throw new BrokerError(
    'TaskCanceled',
    `The task was canceled. The scheduler had taken its job ${jobId}, which was canceled too.`,
  );
}

/** Duplicates go by id, never by name or state, which could hit the job that was adopted. */
async function cancelOthers(jobIds: readonly string[], adopted: string, context: OperationContext): Promise<void> {
  const { scheduler, host, signal, log } = context;
  log.error({ incident: 'duplicate-submission', adopted, canceled: jobIds }, 'one submission made several jobs');
  for (const jobId of jobIds) {
    await scheduler.cancel(host, { jobId, signal }).catch(stayInDoubt);
  }
}

/** An error that this code does not know may have come after the effect. */
function isDoubt(error: BrokerError): boolean {
  return error.code === 'SubmissionInDoubt' || error.code === 'Internal';
}

function stayInDoubt(cause: unknown): never {
  // Another worker has the task: it is that one's to resolve.
  if (cause instanceof BrokerError && cause.code === 'WorkerLost') throw cause;
  throw inDoubt('The scheduler could not be asked whether it took the job.', lagWindowMs / 1_000, { cause });
}

function inDoubt(
  message: string,
  retryAfterSeconds: number,
  options: { cause?: unknown; detail?: Record<string, unknown> } = {},
): BrokerError {
  return new BrokerError('SubmissionInDoubt', message, { ...options, retryAfterSeconds });
}
