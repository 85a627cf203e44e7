/** What the get program prints, as a job. */
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Job } from '../../../shared/operations/compute/job.ts';

const meta = z.object({
  name: z.string(),
  workingDirectory: z.string(),
  account: z.string().nullable(),
  partition: z.string(),
});

/** Kept with the job, so that any worker can show it. */
export type JobMeta = z.infer<typeof meta>;

/** What shows as the partition where the client named none: there are no queues here. */
export const noPartition = 'local';

/** A shell says 128 + n for a child that signal n ended. */
const signalBase = 128;
const signalMax = 64;

/** The job, or undefined for an id that is not known. SchedulerFailed for output that is neither. */
export function parseProcessJob(output: string, jobId: string, username: string): Job | undefined {
  if (output === 'absent\n') return undefined;
  const [, head = '', kept = ''] = /^(.*?)^meta (.*)$/ms.exec(output) ?? [];
  const facts = new Map(
    head.split('\n').map((line): [string, string[]] => [line.split(' ')[0] ?? '', line.split(' ').slice(1)]),
  );
  const { name, workingDirectory, account, partition } = parseMeta(kept, output);
  const number = (fact: string, index: number): number | null => {
    const text = facts.get(fact)?.[index];
    return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
  };
  const state = stateOf(facts);
  const start = number('begun', 0);
  const end = number('ended', 0);
  const isPending = state === 'PENDING';
  return {
    jobId,
    name,
    status: { state, stateReason: state === 'NODE_FAIL' ? 'SupervisorLost' : null, ...exitStatus(number('ended', 1)) },
    tasks: null,
    time: { elapsed: elapsed(state, start, end, number('now', 0)), start, end, suspended: null, limit: null },
    account,
    allocationNodes: isPending ? 0 : 1,
    cluster: facts.get('host')?.[0] ?? '',
    group: null,
    nodes: isPending ? 'None assigned' : (facts.get('host')?.[0] ?? ''),
    partition,
    killRequestUser: state === 'CANCELLED' ? username : null,
    user: username,
    workingDirectory,
    priority: null,
  };
}

function parseMeta(text: string, output: string): JobMeta {
  try {
    return meta.parse(JSON.parse(text));
  } catch (cause) {
    throw new BrokerError('SchedulerFailed', 'The state of the job could not be read.', { cause, detail: { output } });
  }
}

/** The end that was written down decides; a job that nobody supervises any more and that wrote none was lost. */
function stateOf(facts: ReadonlyMap<string, string[]>): string {
  const ended = facts.get('ended')?.[2];
  if (ended !== undefined) return ended;
  switch (facts.get('alive')?.[0]) {
    case 'pending':
      return 'PENDING';
    case 'yes':
      return 'RUNNING';
    case 'canceled':
      return 'CANCELLED';
    default:
      return 'NODE_FAIL';
  }
}

function exitStatus(code: number | null): { exitCode: number | null; interruptSignal: number | null } {
  if (code === null) return { exitCode: null, interruptSignal: null };
  const isSignal = code > signalBase && code <= signalBase + signalMax;
  return { exitCode: code, interruptSignal: isSignal ? code - signalBase : 0 };
}

function elapsed(state: string, start: number | null, end: number | null, now: number | null): number | null {
  const until = end ?? (state === 'RUNNING' ? now : null);
  return start === null || until === null ? null : Math.max(0, until - start);
}
