/** Changes of a job that is there: cancel, hold, release and modify. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { JobChanges } from '../scheduler.ts';
import { isActive } from '../slurm-cli/job-states.ts';
import { slurmDuration, slurmTime } from '../slurm-cli/resource-options.ts';
import { requireJobId } from '../slurm-cli/slurm-job-id.ts';
import {
  accessDenied,
  alreadyDone,
  failed,
  hasProblem,
  problemsOf,
  restMessage,
  unknownJob,
  wordsOf,
} from './answers.ts';
import type { JobFields } from './job-fields.ts';
import type { RestAnswer } from './rest-client.ts';
import { accountedJobs, queuedJobs, type Session } from './rest-jobs.ts';

/** ESLURM_USER_ID_MISSING and ESLURM_JOB_FINISHED of slurm_errno.h. */
const wrongUser = 2010;
const finished = 2084;
/** ESLURM_PRIO_RESET_FAIL: the priority was changed, and will be computed again some time. */
const notPersistent = 2095;

/** JobNotFound, PermissionDenied, SchedulerFailed; a job that has ended is left as it is. */
export async function cancelJob(session: Session, jobId: string): Promise<void> {
  const wanted = requireJobId(jobId);
  const answer = await ask(session, 'DELETE', jobId);
  if (answer.status === 200 && problemsOf(answer).length === 0) return;
  if (hasProblem(answer, alreadyDone) || hasProblem(answer, finished)) return;
  refuseDenied(answer);
  if (!hasProblem(answer, unknownJob)) throw failed('The scheduler did not cancel the job.', answer);
  // A job that left the controller's memory has ended; one that nobody knows has not been.
  if ((await accountedJobs(session, wanted)).length > 0) return;
  throw new BrokerError('JobNotFound', 'Job not found');
}

/** Holds or releases what of the job still waits. As `changeJob`; a job that runs is not held, and has nothing to release. */
export async function holdJob(session: Session, jobId: string, hold: boolean): Promise<void> {
  // Slurm itself would hold a job that runs, for the time after it is requeued.
  const states = (await queuedJobs(session, requireJobId(jobId))).map(({ job }) => job.status.state);
  const hasStarted = states.some(isActive) && !states.includes('PENDING');
  if (!hasStarted) return changeJob(session, jobId, { hold });
  if (hold) throw new BrokerError('JobNotPending', `Job ${jobId} has started; only a job that waits can be held.`);
}

/** JobNotFound, PermissionDenied, JobEnded, JobNotPending, InvalidJob, NotSupported, SchedulerFailed. */
export async function changeJob(session: Session, jobId: string, fields: JobFields): Promise<void> {
  const wanted = requireJobId(jobId);
  const answer = await ask(session, 'POST', jobId, fields);
  const problems = problemsOf(answer).filter(({ number }) => number !== notPersistent);
  if (problems.length === 0 && (answer.status === 200 || hasProblem(answer, notPersistent))) return;
  const words = wordsOf(answer);
  refuseDenied(answer);
  if (hasProblem(answer, finished) || hasProblem(answer, alreadyDone)) {
    throw new BrokerError('JobEnded', `Job ${jobId} has ended.`);
  }
  if (/no longer pending|not pending|already running/i.test(words)) {
    throw new BrokerError('JobNotPending', `Job ${jobId} is not waiting.`);
  }
  if (hasProblem(answer, unknownJob)) {
    if ((await accountedJobs(session, wanted)).length > 0) throw new BrokerError('JobEnded', `Job ${jobId} has ended.`);
    throw new BrokerError('JobNotFound', 'Job not found.');
  }
  if (/\bInvalid\b|\binvalid\b|not in this partition|Failure during parsing/.test(words)) {
    throw new BrokerError('InvalidJob', restMessage(answer), { detail: { problems: problemsOf(answer) } });
  }
  throw failed('The scheduler did not change the job.', answer);
}

/** The changes as fields. NotSupported names a change that cannot be told. */
export function changedFields({ dialect }: Session, changes: JobChanges): JobFields {
  const wanted: [keyof JobChanges, string, string | null][] = [
    ['name', 'job-name', changes.name],
    ['account', 'account', changes.account],
    ['partition', 'partition', changes.partition],
    ['qos', 'qos', changes.qos],
    ['timeLimitSeconds', 'time', changes.timeLimitSeconds === null ? null : slurmDuration(changes.timeLimitSeconds)],
    ['beginAt', 'begin', changes.beginAt === null ? null : slurmTime(changes.beginAt)],
    ['priority', 'priority', changes.priority === null ? null : String(changes.priority)],
  ];
  const fields: JobFields = {};
  for (const [change, option, value] of wanted) {
    if (value === null) continue;
    const told = dialect.unchangeable.includes(change) ? undefined : dialect.fields[option]?.(value);
    if (!told) throw new BrokerError('NotSupported', `The field ${change} cannot be changed on this system.`);
    Object.assign(fields, told);
  }
  return fields;
}

async function ask(session: Session, method: 'POST' | 'DELETE', jobId: string, body?: JobFields): Promise<RestAnswer> {
  const { rest, dialect, username, signal } = session;
  const path = `/slurm/v${dialect.version}/job/${encodeURIComponent(jobId)}`;
  return rest({ method, path, username, signal, ...(body === undefined ? {} : { body }) });
}

function refuseDenied(answer: RestAnswer): void {
  if (!hasProblem(answer, accessDenied) && !hasProblem(answer, wrongUser)) return;
  throw new BrokerError('PermissionDenied', restMessage(answer), { detail: { problems: problemsOf(answer) } });
}
