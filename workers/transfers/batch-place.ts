/**
 * Work as a batch job with the system's own directives. The login node and the compute nodes share the user's home, where
 * the work's directory is: by it the job is followed like work on the login node. Until the work has begun, the scheduler
 * says whether it still will. A job that was submitted twice does no harm: its work begins once.
 */
import { commandLine } from '../../shared/commands/command-line.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { type JobDescription, jobDescription } from '../../shared/operations/compute/job.ts';
import { jobKey } from '../schedulers/job-key.ts';
import {
  glanceAtWork,
  lookAtWork,
  noteJob,
  type RemoteWork,
  removeWork,
  stageWork,
  stopWork,
  type WorkReport,
  workName,
} from './remote-work.ts';
import { runProgram } from './staged-work-programs.ts';
import type { PlaceContext, WorkPlace } from './work-place.ts';
import { supervisorProgram } from './work-programs.ts';

/** What a scheduler says of a job that is not over: to wait for it is right, however long it takes. */
const openStates = new Set(['PENDING', 'RUNNING', 'SUSPENDED', 'REQUEUED', 'STOPPED']);

/** SchedulerFailed and what submitting throws, besides what the work's directory throws. */
export function batchPlace(context: PlaceContext, account: string | null): WorkPlace {
  const name = workName(context.task.id);
  return {
    async start({ argv, input }, run, isAgain) {
      const work: RemoteWork = { argv: supervised(argv), input };
      const { report, isFresh, directory } = await stageWork(context, name, commandLine(work.argv), input, isAgain);
      if (!isFresh) return settle(report, run, context);
      const key = jobKey(context.task.id, run);
      const jobId = await submit(directory, key, context, account);
      // In doubt: the next look asks the scheduler for it.
      if (jobId !== null) await noteJob(context, name, jobId);
      return { ...report, phase: 'queued', jobId };
    },
    glance: (seen) => glanceAtWork(context.files, name, seen),
    look: async (seen) =>
      (await glanceAtWork(context.files, name, seen)) ?? settle(await lookAtWork(context, name), seen.runs, context),
    async stop(run) {
      const report = await stopWork(context, name);
      if (report.phase === 'ended' || report.phase === 'absent') return report;
      const jobId = report.jobId ?? (await findJob(run, context)).jobId;
      if (jobId === null) return report;
      await cancel(jobId, context);
      // It may begin all the same, and finds the mark, or no directory.
      if (report.phase === 'starting') return { ...report, phase: 'absent' };
      const isOver = report.phase === 'elsewhere' && !(await isOpen(jobId, context));
      return isOver ? { ...report, phase: 'lost' } : report;
    },
    remove: () => removeWork(context, name),
  };
}

/** `setsid` makes a session of its own, which the supervisor ends as a whole. */
function supervised(argv: RemoteWork['argv']): RemoteWork['argv'] {
  // Its directory is where it is started.
  return ['setsid', 'sh', '-c', supervisorProgram, 'goldcrest-transfer', '.', ...argv];
}

/** Null: it may have been taken. */
async function submit(
  directory: string,
  key: string,
  context: PlaceContext,
  account: string | null,
): Promise<string | null> {
  const { scheduler, host, signal } = context;
  try {
    const job = describe(directory, context, account);
    const { jobId } = await scheduler.submit(host, { job, key, signal });
    return jobId;
  } catch (error) {
    if (error instanceof BrokerError && error.code === 'SubmissionInDoubt') return null;
    throw error;
  }
}

function describe(directory: string, { system }: PlaceContext, account: string | null): JobDescription {
  const directives = system.dataOperation.jobDirectives.map((line) => line.replaceAll('{account}', account ?? ''));
  return jobDescription.parse({
    name: 'goldcrest-transfer',
    workingDirectory: directory,
    standardInput: '/dev/null',
    standardOutput: '/dev/null',
    standardError: '/dev/null',
    script: ['#!/bin/sh', ...directives, runProgram].join('\n'),
  });
}

/** What a look at the directory cannot tell before the work has begun: whether there is a job that will begin it. */
async function settle(report: WorkReport, run: number, context: PlaceContext): Promise<WorkReport> {
  if (report.phase !== 'starting') return report;
  const found = report.jobId === null ? await findJob(run, context) : { jobId: report.jobId, isCertain: true };
  const { jobId } = found;
  // Nobody knows of one: after a while without a sign of life it is submitted anew.
  if (jobId === null) return found.isCertain ? report : { ...report, phase: 'queued' };
  if (report.jobId === null) await noteJob(context, workName(context.task.id), jobId);
  if (await isOpen(jobId, context)) return { ...report, jobId, phase: 'queued' };
  const again = await lookAtWork(context, workName(context.task.id));
  if (again.phase !== 'starting') return again;
  throw new BrokerError('TransferFailed', `The batch job ${jobId} of this work ended before it began.`);
}

/** The open job that carries the key of the task's run. */
async function findJob(run: number, context: PlaceContext): Promise<{ jobId: string | null; isCertain: boolean }> {
  const { scheduler, host, task, signal } = context;
  const request = { key: jobKey(task.id, run), submittedAfter: task.createdAt, signal };
  const { jobIds, isCertain } = await scheduler.findByKey(host, request);
  for (const jobId of [...jobIds].reverse()) {
    if (await isOpen(jobId, context)) return { jobId, isCertain };
  }
  return { jobId: null, isCertain };
}

/** False only where the scheduler says so. */
async function isOpen(jobId: string, { scheduler, host, signal }: PlaceContext): Promise<boolean> {
  try {
    const [job] = await scheduler.get(host, { jobId, signal });
    return job === undefined || openStates.has(job.status.state);
  } catch (error) {
    if (error instanceof BrokerError && error.code === 'JobNotFound') return false;
    throw error;
  }
}

async function cancel(jobId: string, { scheduler, host, signal }: PlaceContext): Promise<void> {
  try {
    await scheduler.cancel(host, { jobId, signal });
  } catch (error) {
    const isOver = error instanceof BrokerError && (error.code === 'JobNotFound' || error.code === 'JobEnded');
    if (!isOver) throw error;
  }
}
