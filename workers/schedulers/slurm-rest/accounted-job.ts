/** A job as the accounting shows it: `GET /slurmdb/v0.0.NN/jobs` and `/job/{id}`. */
import { z } from 'zod';
import type { Job } from '../../../shared/operations/compute/job.ts';
import type { JobUsage } from '../scheduler.ts';
import { isActive } from '../slurm-cli/job-states.ts';
import type { QueuedJob } from '../slurm-cli/squeue.ts';
import { shownJobId } from './queue-job.ts';
import { slurmBytes, slurmExit, slurmJobState, slurmNumber, slurmText, slurmTime } from './slurm-values.ts';

type Step = NonNullable<Job['tasks']>[number];

/** A word, or since v0.0.39 a list; in a job's case with its reason beside it. */
const jobState = z.looseObject({ current: slurmJobState, reason: slurmText });

const time = z.looseObject({
  elapsed: slurmNumber,
  start: slurmTime,
  end: slurmTime,
  submission: slurmTime,
  suspended: slurmNumber,
  limit: slurmNumber,
});

const resource = z.looseObject({ type: z.string(), name: slurmText, count: slurmNumber });
const resources = z.array(resource).nullish();

/** What the largest task of a step used: `{"type": "mem", "count": 104857600, "node": "n1", "task": 0}`, in bytes. */
const largest = z.array(z.looseObject({ type: z.string(), count: slurmBytes })).nullish();

const step = z.looseObject({
  step: z.looseObject({ id: z.union([z.string(), z.number()]), name: slurmText }),
  state: slurmJobState,
  exit_code: slurmExit,
  time,
  tres: z.looseObject({ requested: z.looseObject({ max: largest }).nullish() }).nullish(),
});

const schema = z.looseObject({
  job_id: z.number(),
  array: z.looseObject({ job_id: slurmNumber, task_id: slurmNumber, task: slurmText }),
  het: z.looseObject({ job_id: slurmNumber, job_offset: slurmNumber }),
  state: jobState,
  exit_code: slurmExit,
  time,
  comment: z.looseObject({ job: slurmText }).nullish(),
  submit_line: slurmText,
  steps: z.array(step).default([]),
  tres: z.looseObject({ allocated: resources, requested: resources }).nullish(),
  account: slurmText,
  allocation_nodes: slurmNumber,
  cluster: slurmText,
  group: slurmText,
  nodes: slurmText,
  partition: slurmText,
  kill_request_user: slurmText,
  user: slurmText,
  association: z.looseObject({ user: slurmText }).nullish(),
  working_directory: slurmText,
  priority: slurmNumber,
  name: slurmText,
});

type Shown = z.output<typeof schema>;

export interface RestAccountedJob extends QueuedJob {
  /** The job's own comment and, where it is shown, the command line; empty where the site keeps neither. */
  comment: string;
  usage: JobUsage;
}

export const restAccountedJob = schema.transform(
  (shown): RestAccountedJob => ({
    job: toJob(shown),
    submittedAt: shown.time.submission,
    uid: null,
    comment: [shown.comment?.job, shown.submit_line].filter((text) => text).join(' '),
    usage: toUsage(shown),
  }),
);

function toJob(shown: Shown): Job {
  const state = shown.state.current;
  const jobId = shownJobId({
    job_id: shown.job_id,
    array_job_id: shown.array.job_id,
    array_task_id: shown.array.task_id,
    array_task_string: shown.array.task,
    het_job_id: shown.het.job_id,
    het_job_offset: shown.het.job_offset,
  });
  const { limit } = shown.time;
  return {
    jobId,
    name: shown.name ?? '',
    status: { state, stateReason: shown.state.reason === 'None' ? null : shown.state.reason, ...exit(state, shown) },
    tasks: shown.steps.map((each) => toStep(jobId, each)),
    time: {
      submit: shown.time.submission,
      ...times(state, shown.time),
      limit: limit === null ? null : limit * 60,
    },
    account: shown.account,
    // slurmrestd 22.05.8 says 0 of a job that was canceled.
    allocationNodes: shown.allocation_nodes || (countOf('node', shown) ?? 0),
    cpus: countOf('cpu', shown),
    gpus: countOf('gpu', shown),
    cluster: shown.cluster ?? '',
    group: shown.group,
    nodes: shown.nodes === null || shown.nodes === 'None assigned' ? 'None assigned' : shown.nodes,
    partition: shown.partition ?? '',
    killRequestUser: shown.kill_request_user,
    user: shown.user ?? shown.association?.user ?? null,
    workingDirectory: shown.working_directory ?? '',
    priority: shown.priority,
  };
}

function toStep(jobId: string, shown: z.output<typeof step>): Step {
  return {
    id: `${jobId}.${stepName(shown.step.id)}`,
    name: shown.step.name ?? '',
    status: { state: shown.state, stateReason: null, ...exit(shown.state, shown) },
    time: { ...times(shown.state, shown.time), limit: null },
  };
}

/** `batch`, `0`; since v0.0.40 with the job's number in front: `123.batch`. */
function stepName(id: string | number): string {
  return String(id).replace(/^\d+\./, '');
}

/** slurmrestd 22.05.8 shows every exit code as 0; where the state says that it was another one, it is not known. */
function exit(state: string, { exit_code }: Pick<Shown, 'exit_code'>) {
  const isWrong = state === 'FAILED' && exit_code.exitCode === 0 && exit_code.interruptSignal === 0;
  return isWrong || isActive(state) ? { exitCode: null, interruptSignal: null } : exit_code;
}

function times(state: string, shown: z.output<typeof time>) {
  return {
    elapsed: shown.elapsed,
    start: shown.start,
    end: isActive(state) ? null : shown.end,
    suspended: shown.suspended,
  };
}

/** What the job has, or asks for before its start. */
function countOf(kind: 'cpu' | 'gpu' | 'mem' | 'node', { tres }: Shown): number | null {
  const isIt = ({ type, name }: z.output<typeof resource>) =>
    kind === 'gpu' ? type === 'gres' && name === 'gpu' : type === kind;
  const found = tres?.allocated?.find(isIt) ?? tres?.requested?.find(isIt);
  return found?.count ?? null;
}

const mebibyte = 2 ** 20;

/** A young record may know the end before it knows what was asked for. */
function toUsage(shown: Shown): JobUsage {
  const used = shown.steps.flatMap(({ tres }) =>
    (tres?.requested?.max ?? []).flatMap(({ type, count }) => (type === 'mem' && count ? [count] : [])),
  );
  const requestedMebibytes = countOf('mem', shown);
  return {
    isFinal: !isActive(shown.state.current) && shown.time.end !== null && (shown.tres?.requested ?? []).length > 0,
    memoryUsedBytes: used.length === 0 ? null : Math.max(...used),
    memoryRequestedBytes: requestedMebibytes === null ? null : requestedMebibytes * mebibyte,
  };
}
