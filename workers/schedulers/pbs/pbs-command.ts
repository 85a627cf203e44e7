/** How the query commands of PBS are run, and what it means when one fails. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { RunOptions, RunResult } from '../../ssh/remote-shell.ts';
import type { SchedulerHost } from '../scheduler.ts';
import { type PbsObject, readPbsDocuments } from './pbs-json.ts';

/** Longest answer of a query; a job is 3 to 5 kB. */
const outputBytesMax = 64 * 1024 * 1024;

export type Run = (host: SchedulerHost, argv: readonly string[], options: RunOptions) => Promise<RunResult>;

/**
 * Runs queries with `TZ=UTC0`, since the commands print times in their own zone, each bounded by `timeoutMs`:
 * SchedulerFailed past it, OutputTooLarge past 64 MiB.
 */
export function createRun(timeoutMs: number): Run {
  return (host, argv, options) =>
    host.shell.run(argv, { timeoutMs, outputBytesMax, env: { TZ: 'UTC0' }, ...options }).catch((error: unknown) => {
      if (!(error instanceof BrokerError) || error.code !== 'CommandTimeout') throw error;
      const message = `The scheduler did not answer within ${timeoutMs / 1_000} s.`;
      throw new BrokerError('SchedulerFailed', message, { cause: error });
    });
}

/** The document that a query prints. SchedulerFailed where it failed, or printed none. */
export async function queryDocument(
  run: Run,
  host: SchedulerHost,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<PbsObject> {
  const result = await run(host, argv, { signal });
  if (result.exitCode !== 0) throw failed('The scheduler could not be asked.', result);
  const [document] = readPbsDocuments(result.stdout.toString());
  if (!document) throw failed('The scheduler did not answer.', result);
  return document;
}

/** The words of PBS that there is no such job: `qstat: Unknown Job Id 9.pbs`, `qdel: illegally formed job identifier: a`. */
export function isUnknownJob(stderr: string): boolean {
  return /: Unknown Job Id\b|: illegally formed job identifier\b/.test(stderr);
}

/** What the server says to `-x` and `-H` where `job_history_enable` is not set: it forgets jobs as they end. */
export function isWithoutHistory(stderr: string): boolean {
  return /not configured to maintain job history/.test(stderr);
}

/** The first part is upstream's, which clients match on. */
export function failed(sentence: string, { exitCode, stderr }: RunResult): BrokerError {
  const words = stderr.toString().trim();
  const message = `${sentence} Unexpected PBS command response. exit_status:${exitCode ?? 'none'} std_err:${words}`;
  return new BrokerError('SchedulerFailed', message, { detail: { exitCode, stderr: words } });
}
