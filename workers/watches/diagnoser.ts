/** Diagnoses watched jobs that have ended: the last figures of all of them by one query, then each one's error output. */
import type { Logger } from 'pino';
import type { Job } from '../../shared/operations/compute/job.ts';
import type { JobDiagnosis } from '../../shared/watches/diagnosis.ts';
import type { Watch } from '../../shared/watches/watch.ts';
import type { PathGate } from '../operations/path-gate.ts';
import { createGate } from '../runtime/concurrency-gate.ts';
import type { JobUsage, SchedulerAdapter, SchedulerHost } from '../schedulers/scheduler.ts';
import type { CommandBudget } from './command-budget.ts';
import { diagnose } from './diagnose.ts';
import { readErrorOutput, withoutLines } from './read-error-output.ts';
import { speakingPart } from './standing.ts';

export interface DiagnoserDeps {
  scheduler: SchedulerAdapter;
  hostOf: (username: string) => SchedulerHost;
  gateOf: (username: string) => Pick<PathGate, 'contains'>;
  budget: CommandBudget;
  log: Logger;
}

/** The accounting is waited for so long, then what is known is told. */
const accountingMsMax = 8_000;
/** Error output that cannot be read for want of commands is left out after that. */
const outputMsMax = 60_000;
/** Commands to find out where a job writes. */
const outputCommands = 4;
const atOnceMax = 4;
const idsMax = 2_000;

/** An ended job as the last look saw it. */
export interface EndedJob {
  watch: Watch;
  jobs: readonly Job[];
}

export function createDiagnoser({ scheduler, hostOf, gateOf, budget, log }: DiagnoserDeps) {
  const gate = createGate(atOnceMax);

  /** By job id; undefined where it could not be asked now. */
  const usageOf = async (
    login: string,
    ended: readonly EndedJob[],
    signal: AbortSignal,
  ): Promise<Map<string, JobUsage> | null | undefined> => {
    const jobIds = [...new Set(ended.map(({ watch }) => watch.jobId))].slice(0, idsMax);
    return scheduler.usage(budget.counted(hostOf(login)), { jobIds, signal }).catch((error: unknown) => {
      signal.throwIfAborted();
      log.info({ err: error }, 'the accounting of ended jobs could not be read');
      return undefined;
    });
  };

  const errorOutputOf = async ({ watch, jobs }: EndedJob, waitedMs: number, signal: AbortSignal) => {
    const part = speakingPart(jobs);
    if (part === undefined || part.status.state === 'COMPLETED') return withoutLines('The job ended well.');
    if (part.time.start === null) return withoutLines('The job never started.');
    const { username } = watch.consent;
    if (part.user !== username) return withoutLines('The job is another user’s.');
    if (budget.waitMs(outputCommands) > 0) {
      if (waitedMs < outputMsMax) return null;
      return withoutLines('Too many jobs ended at a time: their output was not read.');
    }
    const host = budget.counted(hostOf(username));
    return gate(() => readErrorOutput({ scheduler, host, pathGate: gateOf(username) }, part.jobId, signal));
  };

  return {
    /** Calls `tell` for each that can be diagnosed now; the others are asked about again in the next round. */
    async run(
      login: string,
      ended: readonly EndedJob[],
      tell: (watch: Watch, diagnosis: JobDiagnosis) => Promise<void>,
      signal: AbortSignal,
    ): Promise<void> {
      if (ended.length === 0) return;
      const usages = await usageOf(login, ended, signal);
      const now = Date.now();
      const one = async (job: EndedJob): Promise<void> => {
        const { watch, jobs } = job;
        const usage = usages === null ? null : usages?.get(watch.jobId);
        const waitedMs = now - watch.changedAt;
        if (usage !== null && usage?.isFinal !== true && waitedMs < accountingMsMax) return;
        const errorOutput = await errorOutputOf(job, waitedMs, signal);
        if (errorOutput === null) return;
        await tell(watch, diagnose({ jobId: watch.jobId, jobs, usage, errorOutput }));
      };
      await Promise.all(ended.map(one));
    },
  };
}
