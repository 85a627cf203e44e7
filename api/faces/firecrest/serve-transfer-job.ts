/**
 * Requests about a transfer's job and its logs, answered from the task that is behind it: no scheduler knows that job, and
 * no file system those logs.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { linesDefault } from '../../../shared/operations/filesystem/file-content.ts';
import type { Operation } from '../../../shared/operations/operation.ts';
import { transferLogOf } from '../../../shared/operations/transfer/transfer-job.ts';
import { isJobNumber } from '../../../shared/platform/job-numbers.ts';
import type { Task } from '../../../shared/tasks/task.ts';
import type { AppContext, AppDeps, SystemEntry } from '../../http/app-env.ts';
import { jobMetadataOf, jobOf, logText } from './transfer-job.ts';

type Deps = Pick<AppDeps, 'gate' | 'jobNumbers'>;
type Input = Record<string, unknown>;

/** The result that the operation has of such a job or log; undefined where the request is about something else. */
export async function readOwn(
  c: AppContext,
  deps: Deps,
  operation: Operation,
  input: Input,
  system: SystemEntry | null,
): Promise<unknown> {
  if (system === null) return undefined;
  if (typeof input.jobId === 'string' && isJobNumber(input.jobId)) {
    return serveJob(c, deps, operation, input.jobId, system);
  }
  const readLog = logReaders[operation.name];
  const named = readLog !== undefined && typeof input.path === 'string' ? transferLogOf(input.path) : null;
  if (readLog === undefined || named === null) return undefined;
  const task = await findTask(c, deps, named.taskId, system);
  return task === null ? undefined : readLog(Buffer.from(logText(task, named.log)), input);
}

/** The caller's own task on that system; null for none. */
async function findTask(c: AppContext, { gate }: Deps, id: string, system: SystemEntry): Promise<Task | null> {
  const task = await gate.get(id, c.get('principal')).catch((error: unknown) => {
    if (error instanceof BrokerError && (error.code === 'TaskNotFound' || error.code === 'TaskExpired')) return null;
    throw error;
  });
  return task !== null && task.jobId !== null && task.system === system.name ? task : null;
}

async function serveJob(
  c: AppContext,
  deps: Deps,
  operation: Operation,
  jobId: string,
  system: SystemEntry,
): Promise<unknown> {
  const taskId = await deps.jobNumbers.taskOf(jobId);
  const task = taskId === null ? null : await findTask(c, deps, taskId, system);
  if (task === null) throw new BrokerError('JobNotFound', 'Job not found.');
  c.set('taskId', task.id);
  switch (operation.name) {
    case 'compute.get-job':
      return { jobs: [jobOf(task, system, Date.now())] };
    case 'compute.job-metadata':
      return { jobs: [jobMetadataOf(task, system)] };
    case 'compute.cancel-job':
      await deps.gate.cancel(task.id, c.get('principal'));
      return { jobId };
    default:
      throw new BrokerError(
        'NotSupported',
        'This job is a transfer of the broker, which has no processes to attach to.',
      );
  }
}

type LogReader = (log: Buffer, input: Input) => unknown;

function count(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

/** The operations that read a file's text, over a text that is small and at hand. */
const logReaders: { [operation: string]: LogReader } = {
  'filesystem.view': (log, { offset, size }) => {
    const start = count(offset) ?? 0;
    return { text: log.subarray(start, start + (count(size) ?? log.length)).toString() };
  },
  'filesystem.head': (log, { bytes, lines }) => headOf(log, count(bytes), count(lines)),
  'filesystem.tail': (log, { bytes, lines }) => tailOf(log, count(bytes), count(lines)),
};

function splitLines(log: Buffer): string[] {
  return log
    .toString()
    .split(/(?<=\n)/)
    .filter((line) => line !== '');
}

function headOf(log: Buffer, bytes: number | null, lines: number | null): unknown {
  const end = bytes ?? lines ?? linesDefault;
  const content = bytes === null ? splitLines(log).slice(0, end).join('') : log.subarray(0, end).toString();
  return { content, contentType: bytes === null ? 'lines' : 'bytes', startPosition: 0, endPosition: end };
}

function tailOf(log: Buffer, bytes: number | null, lines: number | null): unknown {
  const last = bytes ?? lines ?? linesDefault;
  const content = bytes === null ? splitLines(log).slice(-last).join('') : log.subarray(-last).toString();
  const startPosition = bytes === null && lines === null ? linesDefault : -last;
  return { content, contentType: bytes === null ? 'lines' : 'bytes', startPosition, endPosition: -1 };
}
