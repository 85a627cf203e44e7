/** How Slurm's query commands are run, and what it means when one fails. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { RunResult } from '../../ssh/remote-shell.ts';
import type { SchedulerHost } from '../scheduler.ts';

/** Longest answer of a query: an array of 10,000 elements with their steps is about 6 MB. */
const outputBytesMax = 32 * 1024 * 1024;

export type Run = (host: SchedulerHost, argv: readonly string[], signal: AbortSignal) => Promise<RunResult>;

/** Runs queries with `SLURM_TIME_FORMAT=%s`, each bounded by `timeoutMs`: SchedulerFailed past it, OutputTooLarge past 32 MiB. */
export function createRun(timeoutMs: number): Run {
  return (host, argv, signal) =>
    host.shell
      .run(argv, { timeoutMs, outputBytesMax, signal, env: { SLURM_TIME_FORMAT: '%s' } })
      .catch(schedulerTimeout(timeoutMs));
}

/** For a command that only asks: when it ran out of time, the scheduler did not answer. */
export function schedulerTimeout(timeoutMs: number): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof BrokerError) || error.code !== 'CommandTimeout') throw error;
    const message = `The scheduler did not answer within ${timeoutMs / 1_000} s.`;
    throw new BrokerError('SchedulerFailed', message, { cause: error });
  };
}

/** The first part is upstream's, which clients match on. */
export function failed(sentence: string, { exitCode, stderr }: RunResult): BrokerError {
  const words = stderr.toString().trim();
  const message = `${sentence} Unexpected Slurm command response. exit_status:${exitCode ?? 'none'} std_err:${words}`;
  return new BrokerError('SchedulerFailed', message, { detail: { exitCode, stderr: words } });
}

/** SchedulerFailed for output of another form than this version reads. */
export function unreadable(output: string): BrokerError {
  return new BrokerError('SchedulerFailed', 'The output of the scheduler could not be read.', { detail: { output } });
}
