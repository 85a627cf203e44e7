/** A job as the controller shows it: `GET /slurm/v0.0.NN/jobs` and `/job/{id}`. */
import { z } from 'zod';
import type { Job } from '../../../shared/operations/compute/job.ts';
import { isActive } from '../slurm-cli/job-states.ts';
import type { QueuedJob } from '../slurm-cli/squeue.ts';
import { gpusOf } from '../slurm-cli/values.ts';
import { slurmExit, slurmJobState, slurmNumber, slurmText, slurmTime } from './slurm-values.ts';

const schema = z.looseObject({
  job_id: z.number(),
  array_job_id: slurmNumber,
  array_task_id: slurmNumber,
  array_task_string: slurmText,
  array_max_tasks: slurmNumber,
  het_job_id: slurmNumber,
  het_job_offset: slurmNumber,
  job_state: slurmJobState,
  state_reason: slurmText,
  exit_code: slurmExit,
  cluster: slurmText,
  submit_time: slurmTime,
  start_time: slurmTime,
  end_time: slurmTime,
  suspend_time: slurmTime,
  pre_sus_time: slurmNumber,
  time_limit: slurmNumber,
  node_count: slurmNumber,
  nodes: slurmText,
  cpus: slurmNumber,
  tres_req_str: slurmText,
  tres_alloc_str: slurmText,
  partition: slurmText,
  user_name: slurmText,
  user_id: slurmNumber,
  group_name: slurmText,
  account: slurmText,
  priority: slurmNumber,
  name: slurmText,
  current_working_directory: slurmText,
  comment: slurmText,
});

type Shown = z.output<typeof schema>;

/** A job of the queue, and what only the search by key looks at. */
export interface RestQueuedJob extends QueuedJob {
  comment: string;
}

/** `now`: seconds since the epoch, for the time a job has run. */
export const restQueuedJob = (now: number) =>
  schema.transform(
    (shown): RestQueuedJob => ({
      job: toJob(shown, now),
      submittedAt: shown.submit_time,
      uid: shown.user_id === null ? null : String(shown.user_id),
      comment: shown.comment ?? '',
    }),
  );

/** `123`, `123_4`, `123_[1-5%2]` while several wait as one, `123+1`. */
export function shownJobId(id: Pick<Shown, 'job_id'> & Partial<Shown>): string {
  if (id.het_job_id) return `${id.het_job_id}+${id.het_job_offset ?? 0}`;
  if (!id.array_job_id) return String(id.job_id);
  if (id.array_task_string) return `${id.array_job_id}_[${withLimit(id.array_task_string, id.array_max_tasks ?? 0)}]`;
  return id.array_task_id === null || id.array_task_id === undefined
    ? String(id.job_id)
    : `${id.array_job_id}_${id.array_task_id}`;
}

/** squeue shows how many may run at once behind the indices; here it is a field of its own, or there already. */
function withLimit(indices: string, tasksMax: number): string {
  return tasksMax === 0 || indices.includes('%') ? indices : `${indices}%${tasksMax}`;
}

function toJob(shown: Shown, now: number): Job {
  const state = shown.job_state;
  const isPending = state === 'PENDING';
  const isOpen = isActive(state);
  return {
    jobId: shownJobId(shown),
    name: shown.name ?? '',
    status: {
      state,
      stateReason: shown.state_reason === 'None' ? null : shown.state_reason,
      ...(isOpen ? { exitCode: null, interruptSignal: null } : shown.exit_code),
    },
    tasks: null,
    time: {
      submit: shown.submit_time,
      elapsed: elapsed(shown, now),
      // For a pending job this is the expected start, for an active one the expected end.
      start: isPending ? null : shown.start_time,
      end: isOpen ? null : shown.end_time,
      suspended: null,
      limit: shown.time_limit === null ? null : shown.time_limit * 60,
    },
    account: shown.account,
    allocationNodes: isPending ? 0 : (shown.node_count ?? 0),
    cpus: shown.cpus,
    gpus: gpusOf(shown.tres_alloc_str ?? shown.tres_req_str ?? ''),
    cluster: shown.cluster ?? '',
    group: shown.group_name,
    nodes: isPending ? 'None assigned' : (shown.nodes ?? 'None assigned'),
    partition: shown.partition ?? '',
    killRequestUser: null,
    user: shown.user_name,
    workingDirectory: shown.current_working_directory ?? '',
    priority: shown.priority,
  };
}

/** As squeue counts: the time before the last suspension, and what has run since. */
function elapsed(shown: Shown, now: number): number {
  const { job_state: state, start_time: start, suspend_time: suspendedAt, pre_sus_time: before } = shown;
  if (state === 'PENDING' || start === null) return 0;
  if (state === 'SUSPENDED') return before ?? 0;
  const end = isActive(state) ? now : (shown.end_time ?? now);
  const ran = suspendedAt === null ? end - start : (before ?? 0) + end - suspendedAt;
  return Math.max(0, Math.floor(ran));
}
