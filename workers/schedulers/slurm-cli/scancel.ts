/** scancel(1). It exits 0 whether it cancelled, came too late or never heard of the job; `--verbose` tells. */

/** `jobId`: an id that `parseJobId` accepts; never a name or a state, which could name other jobs too. */
export function buildScancel(jobId: string): string[] {
  return ['scancel', '--verbose', jobId];
}

/** `unknown`: the controller has no such job; it may have ended long ago. */
export type CancelOutcome = 'canceled' | 'ended' | 'unknown' | 'denied' | 'failed';

/**
 * Slurm 22.05.8 on standard error, after `scancel: Terminating job 1`:
 *   scancel: error: Kill job error on job id 1: Job/step already completing or completed     (exit 0)
 *   scancel: error: Kill job error on job id 999: Invalid job id specified                   (exit 0)
 *   scancel: error: Kill job error on job id 4: Access/permission denied                     (exit 210)
 *   scancel: error: Kill job error on job id 1: Socket timed out on send/recv operation      (exit 140)
 */
export function readScancel(exitCode: number | null, stderr: string): CancelOutcome {
  if (/permission denied/.test(stderr)) return 'denied';
  if (/Invalid job id/.test(stderr)) return 'unknown';
  if (/already completing or completed|Job has already finished/.test(stderr)) return 'ended';
  return exitCode === 0 && !/error:/.test(stderr) ? 'canceled' : 'failed';
}
