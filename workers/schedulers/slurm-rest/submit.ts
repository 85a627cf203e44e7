/** Hands a job to slurmrestd, and finds it again by its key. */
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { scriptBytesMax } from '../../../shared/operations/compute/job.ts';
import { checkBatchScript } from '../batch-script.ts';
import { containsKey, lowestFirst } from '../job-key.ts';
import type { FindRequest, FoundJobs, SchedulerHost, Submission, SubmitRequest } from '../scheduler.ts';
import { refusalCode } from '../slurm-cli/sbatch-refusal.ts';
import { parseJobId } from '../slurm-cli/slurm-job-id.ts';
import { problemsOf, restMessage } from './answers.ts';
import { NotExpressible } from './directives.ts';
import { buildSubmission } from './job-request.ts';
import type { RestAnswer } from './rest-client.ts';
import { eachQueuedJob, listAccountedJobs, type Session } from './rest-jobs.ts';

/** The accounting is asked from this much before the intent on, for clocks that differ. */
const clockSkewSeconds = 300;

/** See `SchedulerAdapter.submit`. Throws NotExpressible, before anything is sent, for what REST cannot be told. */
export async function submitJob(
  session: Session,
  host: SchedulerHost,
  { job, key, intended }: SubmitRequest,
): Promise<Submission> {
  const { rest, dialect, username, signal } = session;
  const script = job.scriptPath === undefined ? (job.script ?? '') : await readScript(host, job.scriptPath, signal);
  checkBatchScript(script);
  const body = buildSubmission({ job, script, key }, dialect);
  await intended;
  signal.throwIfAborted();
  const answer = await rest({
    method: 'POST',
    path: `/slurm/v${dialect.version}/job/submit`,
    username,
    signal,
    body,
  }).catch(doubtUnlessUnsent);
  return readSubmission(answer);
}

/** The whole script, as slurmrestd does not look at files. InvalidJob where sbatch could not read it either. */
async function readScript(host: SchedulerHost, path: string, signal: AbortSignal): Promise<string> {
  const bytes = await host.files.readFile(path, { bytesMax: scriptBytesMax, signal }).catch((error: unknown) => {
    if (!(error instanceof BrokerError)) throw error;
    if (!['FileNotFound', 'PermissionDenied', 'InvalidRequest', 'OutputTooLarge'].includes(error.code)) throw error;
    throw new BrokerError('InvalidJob', `Unable to open file ${path}: ${error.message}`, { cause: error });
  });
  const script = bytes.toString();
  // JSON could carry it only changed or cut.
  if (script.includes('\0') || !Buffer.from(script).equals(bytes)) {
    throw new NotExpressible(0, `the script ${path} is not text in UTF-8, which slurmrestd asks for.`);
  }
  return script;
}

function doubtUnlessUnsent(error: unknown): never {
  if (error instanceof BrokerError) {
    if (error.detail.sent === false || error.code === 'PermissionDenied') throw error;
    throw new BrokerError('SubmissionInDoubt', undefined, { cause: error, detail: { code: error.code } });
  }
  throw new BrokerError('SubmissionInDoubt', undefined, { cause: error });
}

const submitted = z.looseObject({ job_id: z.int().positive() });

/**
 * The id, where there is one: slurmrestd 22.05.8 names it beside "Job is in held state" in its list of errors. Else the
 * scheduler's own words with the code of a known refusal; SubmissionInDoubt for anything else. What slurmrestd itself
 * could not read (400 and its like) never reached the controller.
 */
export function readSubmission(answer: RestAnswer): Submission {
  const read = submitted.safeParse(answer.body);
  if (read.success) return { jobId: String(read.data.job_id) };
  const detail = { status: answer.status, problems: problemsOf(answer) };
  if (answer.status === 401 || answer.status === 404) {
    throw new BrokerError('SchedulerFailed', `slurmrestd refused the request. ${restMessage(answer)}`, { detail });
  }
  const words = problemsOf(answer).map((each) => `submission failed: ${each.words}`);
  const code = answer.status >= 400 && answer.status < 500 ? 'InvalidJob' : refusalCode(1, words.join('\n'));
  if (code !== undefined) throw new BrokerError(code, restMessage(answer), { detail });
  throw new BrokerError('SubmissionInDoubt', undefined, { detail });
}

/**
 * See `SchedulerAdapter.findByKey`. The key stands in the job's comment, which the accounting keeps only where the site
 * says so (`AccountingStoreFlags=job_comment`): a job of this time that left the queue and has no comment may be the
 * one, and then nothing is certain.
 */
export async function findByKey(session: Session, { key, submittedAfter }: FindRequest): Promise<FoundJobs> {
  const found = new Set<string>();
  const since = submittedAfter / 1_000 - clockSkewSeconds;
  const seen = new Set<string>();
  const note = (jobId: string, comment: string): void => {
    const id = parseJobId(jobId);
    if (id && containsKey(comment, key)) found.add(id.base);
  };
  // The queue first: a job that leaves it while we look is in the accounting by then.
  const isQueueKnown = await answered(session, () =>
    eachQueuedJob(session, ({ job, comment }) => {
      if (job.user !== session.username) return;
      seen.add(baseOf(job.jobId));
      note(job.jobId, comment);
    }),
  );
  const filter = { username: session.username, account: null, windowSeconds: Math.max(0, Date.now() / 1_000 - since) };
  let isUnclear = false;
  const isAccountingKnown = await answered(session, async () => {
    for (const { job, submittedAt, comment } of await listAccountedJobs(session, filter)) {
      note(job.jobId, comment);
      const isYoung = submittedAt === null || submittedAt >= since;
      if (comment === '' && isYoung && !seen.has(baseOf(job.jobId))) isUnclear = true;
    }
  });
  return { jobIds: lowestFirst(found), isCertain: isQueueKnown && isAccountingKnown && !isUnclear };
}

/** False for a look that did not answer well, which is the uncertainty that the caller asks about. */
async function answered({ signal }: Session, look: () => Promise<void>): Promise<boolean> {
  try {
    await look();
    return true;
  } catch (error) {
    if (signal.aborted || !(error instanceof BrokerError)) throw error;
    return false;
  }
}

function baseOf(jobId: string): string {
  return parseJobId(jobId)?.base ?? jobId;
}
