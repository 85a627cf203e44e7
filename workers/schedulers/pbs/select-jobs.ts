/**
 * Several jobs at once. qstat cannot say whose, and with `-x` it prints the history of all users, so qselect picks them
 * first, with only as much of the history as is wanted.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { SchedulerHost } from '../scheduler.ts';
import { isOnlyUnknown } from './find-jobs.ts';
import { failed, type Run } from './pbs-command.ts';
import { readPbsDocuments } from './pbs-json.ts';
import { selectTime } from './pbs-values.ts';
import { type PbsJob, readJobs } from './qstat-jobs.ts';

/**
 * Arguments: user, or nothing for all; `c` or `m`; a moment. Prints `history yes` or `no`, and then what qstat says of the
 * jobs that have not ended and of those that did and were created (`c`) or last changed (`m`) since then. Those that end
 * meanwhile are asked for second, so that they are in one of both. Ids hold brackets: `set -f`.
 */
const selectProgram = `set -f; user=$1 time=$2 since=$3 history=yes
select_jobs() { if [ -n "$user" ]; then qselect -u "$user" "$@"; else qselect "$@"; fi; }
open=$(select_jobs) || exit 75
ended=$(select_jobs -H "-t$time.ge.$since") || { history=no; ended=; }
echo "history $history"
[ -n "$open$ended" ] || exit 0
if [ $history = yes ]; then set -- -x; else set --; fi
printf '%s\\n' $open $ended | sort -u | xargs qstat "$@" -f -F json`;

export interface SelectRequest {
  /** Null: all users. */
  username: string | null;
  /** Milliseconds since the epoch: jobs that ended and were created, or changed last, before it are left out. */
  since: number;
  by: 'created' | 'changed';
  signal: AbortSignal;
}

export interface SelectedJobs {
  jobs: PbsJob[];
  /** False where the server keeps no history, or its history could not be read: jobs that ended may be missing. */
  hasHistory: boolean;
}

/** In no order. SchedulerFailed where the queue does not answer. */
export async function selectJobs(run: Run, host: SchedulerHost, request: SelectRequest): Promise<SelectedJobs> {
  const args = [request.username ?? '', request.by === 'created' ? 'c' : 'm', selectTime(request.since)];
  const result = await run(host, ['sh', '-c', selectProgram, 'sh', ...args], { signal: request.signal });
  const output = result.stdout.toString();
  const [, history] = /^history (yes|no)\n/.exec(output) ?? [];
  // Jobs may leave the history between the two commands.
  if (history === undefined || (result.exitCode !== 0 && !isOnlyUnknown(result.stderr.toString()))) {
    throw failed('The queue of the scheduler could not be read.', result);
  }
  return { jobs: readPbsDocuments(output).flatMap(readJobs), hasHistory: history === 'yes' };
}

/** A query that failed, as undefined: the failure is the uncertainty that the caller asks about. */
export async function unlessFailed<Result>(query: Promise<Result>, signal: AbortSignal): Promise<Result | undefined> {
  try {
    return await query;
  } catch (error) {
    if (signal.aborted || !(error instanceof BrokerError)) throw error;
    return undefined;
  }
}
