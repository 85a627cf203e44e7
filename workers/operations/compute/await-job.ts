/**
 * One look at a job that is waited for; the task is laid by until the next. All who wait look at the same moments, so that
 * one query of the scheduler answers them together.
 */
import { z } from 'zod';
import { BrokerError, toBrokerError } from '../../../shared/errors/broker-error.ts';
import type { awaitJob } from '../../../shared/operations/compute/await-job.ts';
import type { Job } from '../../../shared/operations/compute/job.ts';
import { isJobEnd } from '../../../shared/operations/compute/job-end.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';
import { Parked } from '../parked.ts';
import { refuseUnwanted } from '../refuse-unwanted.ts';

type Input = InputOf<typeof awaitJob>;
type Result = ResultOf<typeof awaitJob>;
type Context = Pick<OperationContext, 'jobs' | 'journal' | 'task' | 'signal' | 'log'>;

/** Looks come further apart the longer it takes: so often from so long after the first look. Milliseconds. */
const lookIntervals = [
  { afterMs: 1_800_000, everyMs: 30_000 },
  { afterMs: 60_000, everyMs: 10_000 },
  { afterMs: 0, everyMs: 2_000 },
] as const;
/** A job that was there may be on its way from the queue to the records: its absence counts when it lasts so long. */
const missingMsMax = 60_000;
/** The same of a job that was never there. */
const unseenMsMax = 3_000;

const storedLook = z.object({
  phase: z.literal('awaiting'),
  firstAt: z.number(),
  isSeen: z.boolean(),
  /** Since when the scheduler has said that there is no such job; null: it was there at the last look. */
  missingSince: z.number().nullable(),
});

type Look = z.infer<typeof storedLook>;

/** The faults of a look that pass by themselves; the job goes on meanwhile. */
function mayPass({ code }: BrokerError): boolean {
  return ['SshUnavailable', 'SshNoChannel', 'SchedulerFailed', 'CommandTimeout'].includes(code);
}

function layBy(look: Look): Parked {
  const now = Date.now();
  const { everyMs } = lookIntervals.find(({ afterMs }) => now - look.firstAt >= afterMs) ?? lookIntervals[2];
  // At the next whole interval of the clock, which is the same for all who wait.
  return new Parked({ place: 'aside', waitMs: everyMs - (now % everyMs), journal: look });
}

/** Of an id that was used again the newest job is meant, of an array all of its elements. */
function outcomeOf(jobs: readonly Job[], { jobId, expect }: Input): Result | null {
  const [newest] = jobs;
  if (newest === undefined || !jobs.every(({ status }) => isJobEnd(status.state))) return null;
  const meant = jobs.filter(({ time }) => time.submit === newest.time.submit);
  const { status } = meant.find((job) => job.status.state !== 'COMPLETED') ?? newest;
  if (expect === 'completed' && status.state !== 'COMPLETED') {
    const how = status.exitCode === null ? '' : `, with exit code ${status.exitCode}`;
    throw new BrokerError('JobNotCompleted', `Job ${jobId} ended as ${status.state}${how}.`);
  }
  return { jobId, state: status.state, exitCode: status.exitCode, interruptSignal: status.interruptSignal };
}

/** JobNotCompleted; JobNotFound where the scheduler says for some time that there is none. */
export async function handleAwaitJob(input: Input, context: Context): Promise<Result | Parked> {
  refuseUnwanted(context);
  const look = storedLook.safeParse(context.journal.entry).data ?? {
    ...{ phase: 'awaiting' as const, firstAt: Date.now(), isSeen: false, missingSince: null },
  };
  let jobs: readonly Job[];
  try {
    ({ jobs } = await context.jobs.get(input.jobId));
  } catch (thrown) {
    const error = toBrokerError(thrown);
    const isStopped = context.signal.aborted && toBrokerError(context.signal.reason).code !== 'CommandTimeout';
    if (!isStopped && mayPass(error)) {
      context.log.info({ code: error.code, message: error.message }, 'the job could not be looked at');
      return layBy(look);
    }
    if (isStopped || error.code !== 'JobNotFound') throw error;
    const missingSince = look.missingSince ?? Date.now();
    if (Date.now() - missingSince >= (look.isSeen ? missingMsMax : unseenMsMax)) throw error;
    return layBy({ ...look, missingSince });
  }
  return outcomeOf(jobs, input) ?? layBy({ ...look, isSeen: true, missingSince: null });
}
