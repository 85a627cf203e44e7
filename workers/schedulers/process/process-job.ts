/** What the show and metadata programs print, as jobs. */
import { posix } from 'node:path';
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Job } from '../../../shared/operations/compute/job.ts';
import type { JobMetadata } from '../../../shared/operations/compute/job-metadata.ts';

const meta = z.object({
  name: z.string(),
  workingDirectory: z.string(),
  account: z.string().nullable(),
  partition: z.string(),
  // As they were given; jobs of earlier versions lack them.
  standardInput: z.string().nullable().default(null),
  standardOutput: z.string().nullable().default(null),
  standardError: z.string().nullable().default(null),
  cpus: z.int().nullable().default(null),
  comment: z.string().nullable().default(null),
});

/** Kept with the job, so that any worker can show it. */
export type JobMeta = z.infer<typeof meta>;

/** What shows as the partition where the client named none: there are no queues here. */
export const noPartition = 'local';

/** A shell says 128 + n for a child that signal n ended. */
const signalBase = 128;
const signalMax = 64;

/** The jobs that the show program prints, the latest first. SchedulerFailed for output of another form. */
export function parseProcessJobs(output: string, username: string): Job[] {
  const [common = '', ...blocks] = output.split(/^job (?=\d+$)/m);
  const jobs = blocks.map((block) => {
    const end = block.indexOf('\n');
    return parseProcessJob(common + block.slice(end + 1), block.slice(0, end), username);
  });
  return jobs.sort((a, b) => Number(b.jobId) - Number(a.jobId));
}

function parseProcessJob(output: string, jobId: string, username: string): Job {
  const [, head = '', kept = ''] = /^(.*?)^meta (.*)$/ms.exec(output) ?? [];
  const facts = new Map(
    head.split('\n').map((line): [string, string[]] => [line.split(' ')[0] ?? '', line.split(' ').slice(1)]),
  );
  const { name, workingDirectory, account, partition, cpus } = parseProcessMeta(kept);
  const number = (fact: string, index: number): number | null => {
    const text = facts.get(fact)?.[index];
    return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
  };
  const { state, stateReason } = stateOf(facts);
  const start = number('begun', 0);
  const end = number('ended', 0);
  const isPending = state === 'PENDING';
  return {
    jobId,
    name,
    status: { state, stateReason, ...exitStatus(number('ended', 1)) },
    tasks: null,
    time: {
      submit: number('submitted', 0),
      elapsed: elapsed(state, start, end, number('now', 0)),
      start,
      end,
      suspended: null,
      limit: number('limit', 0),
    },
    account,
    allocationNodes: isPending ? 0 : 1,
    cpus,
    gpus: null,
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

/** What the metadata program prints, or undefined for an id that is not known. Of `%j` and its like, jobs here know `%j` only. */
export function parseProcessMetadata(output: string, jobId: string): JobMetadata | undefined {
  if (output === 'absent\n') return undefined;
  const [, kept = '', script = null] = /^meta ([^\n]*)\n(?:script\n([\s\S]*))?$/.exec(output) ?? [];
  const { workingDirectory, standardInput, standardOutput, standardError } = parseProcessMeta(kept);
  const path = (file: string | null) => file && posix.resolve(workingDirectory, file);
  const withId = (file: string | null) => path(file?.replaceAll('%j', jobId) ?? null);
  return {
    jobId,
    script,
    standardInput: path(standardInput),
    standardOutput: withId(standardOutput),
    standardError: withId(standardError ?? standardOutput),
  };
}

/** What was kept with the job. SchedulerFailed for what this version cannot read. */
export function parseProcessMeta(text: string): JobMeta {
  try {
    return meta.parse(JSON.parse(text));
  } catch (cause) {
    throw new BrokerError('SchedulerFailed', 'The state of the job could not be read.', { cause, detail: { text } });
  }
}

/** Why a job waits, if not for slots. */
const reasons: Readonly<Record<string, string>> = { held: 'JobHeldUser', begin: 'BeginTime' };

/**
 * The end that was written down decides. A job whose supervisor lives waits until it has begun; one that nobody supervises any
 * more and that wrote no end was lost, with the host where that was started again since.
 */
function stateOf(facts: ReadonlyMap<string, string[]>): { state: string; stateReason: string | null } {
  const ended = facts.get('ended')?.[2];
  if (ended !== undefined) return { state: ended, stateReason: null };
  const [alive, why = ''] = facts.get('alive') ?? [];
  switch (alive) {
    case 'pending':
      return { state: 'PENDING', stateReason: null };
    case 'yes':
      if (facts.has('begun')) return { state: 'RUNNING', stateReason: null };
      return { state: 'PENDING', stateReason: reasons[why] ?? 'Resources' };
    case 'canceled':
      return { state: 'CANCELLED', stateReason: null };
    case 'rebooted':
      return { state: 'NODE_FAIL', stateReason: 'HostRebooted' };
    default:
      return { state: 'NODE_FAIL', stateReason: 'SupervisorLost' };
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
