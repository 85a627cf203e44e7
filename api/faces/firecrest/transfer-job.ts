/** FirecREST v2's view of a transfer: the answer that begins it, the job it seems to be, and that job's logs. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Job } from '../../../shared/operations/compute/job.ts';
import type { JobMetadata } from '../../../shared/operations/compute/job-metadata.ts';
import { findOperation } from '../../../shared/operations/registry.ts';
import { type TransferJob, transferJobOf } from '../../../shared/operations/transfer/transfer-job.ts';
import type { Staging } from '../../../shared/staging/staging.ts';
import { type StagedFile, stagedFileOf } from '../../../shared/tasks/staged-file.ts';
import { isTerminal, type TaskState } from '../../../shared/tasks/states.ts';
import { streamEntryOf } from '../../../shared/tasks/stream-entry.ts';
import type { Task } from '../../../shared/tasks/task.ts';
import { wormholeEntryOf } from '../../../shared/tasks/wormhole-entry.ts';
import type { SystemEntry } from '../../http/app-env.ts';
import { directWayOf } from '../direct-way.ts';

type Signer = Pick<Staging, 'signParts' | 'signCompletion' | 'signDownload'>;

/** What the client does next, with addresses signed for it now; undefined where it does nothing. */
export async function directivesOf(
  task: Task,
  system: SystemEntry,
  signer: Signer | undefined,
): Promise<object | undefined> {
  const isUpload = task.operation === 'transfer.upload';
  if (!isUpload && task.operation !== 'transfer.download') return undefined;
  const { dataTransfer } = system.dataOperation;
  if (dataTransfer?.type === 'streamer' || dataTransfer?.type === 'wormhole') return straightDirectives(task, system);
  const staged = stagedFileOf(task.journal);
  if (staged === null || signer === undefined) {
    throw new BrokerError('Internal', 'An internal error occurred.', { detail: { reason: 'nothing is staged' } });
  }
  return isUpload ? uploadDirectives(staged, signer) : downloadDirectives(staged, signer);
}

function straightDirectives(task: Task, system: SystemEntry): object {
  const way = directWayOf(task, system);
  if (way === null) {
    throw new BrokerError('Internal', 'An internal error occurred.', { detail: { reason: 'there is no way to give' } });
  }
  // As FirecREST v2 answers to an upload: the code is the client's own.
  if (way.transferMethod === 'wormhole' && way.wormholeCode === null) return { transferMethod: 'wormhole' };
  return way;
}

async function uploadDirectives(staged: StagedFile, signer: Signer): Promise<object> {
  return {
    transferMethod: 's3',
    partsUploadUrls: await signer.signParts(staged, 1, staged.partsCount, 'client'),
    completeUploadUrl: await signer.signCompletion(staged),
    maxPartSize: staged.partSizeBytes,
  };
}

async function downloadDirectives(staged: StagedFile, signer: Signer): Promise<object> {
  return { transferMethod: 's3', downloadUrl: await signer.signDownload(staged, 'client') };
}

/** Whether there is what its client is to be told; without, it has not begun, or never did. */
export function isPreparedFor({ operation, journal }: Pick<Task, 'operation' | 'journal'>): boolean {
  if (journal === null) return false;
  const wormhole = operation === 'transfer.download' ? wormholeEntryOf(journal) : null;
  return wormhole === null || wormhole.sealedCode !== undefined;
}

/** The answer to the request that began it. */
export async function startedAnswer(
  task: Task,
  system: SystemEntry,
  signer: Signer | undefined,
): Promise<{ transferJob: TransferJob; transferDirectives?: object }> {
  const transferDirectives = await directivesOf(task, system, signer);
  const transferJob = transferJobOf(task, system);
  return { transferJob, ...(transferDirectives === undefined ? {} : { transferDirectives }) };
}

const jobStates: Record<TaskState, string> = {
  pending: 'PENDING',
  active: 'RUNNING',
  completed: 'COMPLETED',
  failed: 'FAILED',
  canceled: 'CANCELLED',
};

/** Clients come to a stream when it runs, which is when it listens; to a wormhole at any time. */
function jobStateOf(task: Task): string {
  if (isTerminal(task.state)) return jobStates[task.state];
  const stream = streamEntryOf(task.journal);
  if (stream !== null) return stream.port === undefined ? 'PENDING' : 'RUNNING';
  return wormholeEntryOf(task.journal) === null ? jobStates[task.state] : 'RUNNING';
}

function epochSeconds(ms: number | null): number | null {
  return ms === null ? null : Math.floor(ms / 1_000);
}

/** The job. Its exit code is 0 or 1, as a script's would be. */
export function jobOf(task: Task, system: SystemEntry, now: number): Job {
  const state = jobStateOf(task);
  const isWaiting = task.state === 'pending' && task.progress !== null;
  const exitCode = task.finishedAt === null ? null : task.state === 'completed' ? 0 : 1;
  const elapsedMs = task.startedAt === null ? null : (task.finishedAt ?? now) - task.startedAt;
  const status = {
    state,
    stateReason: task.error?.message ?? (isWaiting ? task.progress?.message : null) ?? null,
    exitCode,
    interruptSignal: null,
  };
  return {
    jobId: task.jobId ?? '',
    name: findOperation(task.operation)?.firecrest.job?.name ?? task.operation,
    status,
    tasks: null,
    time: {
      submit: epochSeconds(task.createdAt),
      elapsed: epochSeconds(elapsedMs),
      start: epochSeconds(task.startedAt),
      end: epochSeconds(task.finishedAt),
      suspended: 0,
      limit: null,
    },
    account: accountOf(task.input),
    allocationNodes: 1,
    cpus: null,
    gpus: null,
    cluster: system.name,
    group: null,
    nodes: task.startedAt === null ? 'None assigned' : system.name,
    partition: 'transfer',
    killRequestUser: task.state === 'canceled' ? task.principal.username : null,
    user: task.principal.username,
    workingDirectory: transferJobOf(task, system).workingDirectory,
    priority: null,
  };
}

function accountOf(input: unknown): string | null {
  const account = typeof input === 'object' && input !== null ? (input as { account?: unknown }).account : null;
  return typeof account === 'string' ? account : null;
}

/** What there is of a script and its files. */
export function jobMetadataOf(task: Task, system: SystemEntry): JobMetadata {
  const { logs } = transferJobOf(task, system);
  return {
    jobId: task.jobId ?? '',
    script: null,
    standardInput: '/dev/null',
    standardOutput: logs.outputLog,
    standardError: logs.errorLog,
  };
}

/** What a log says. Clients take a transfer for good when the output has the words of success, whatever its state. */
export function logText(task: Task, log: 'output' | 'error'): string {
  if (log === 'error') return task.error === null ? '' : `${task.error.message}\n`;
  const job = findOperation(task.operation)?.firecrest.job;
  if (task.state !== 'completed' || job === undefined) return '';
  return `${job.successLine(task.result)}\n`;
}
