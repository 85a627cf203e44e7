/** The text of a job's script before it is submitted. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { JobDescription } from '../../../shared/operations/compute/job.ts';
import type { SchedulerHost } from '../scheduler.ts';

/** How much of a script file is read for its directives, which stand at its beginning. */
const scriptHeadBytes = 64 * 1024;

/** The inline script, or the head of the file. InvalidJob where sbatch could not read the file either. */
export async function scriptText(host: SchedulerHost, job: JobDescription, signal: AbortSignal): Promise<string> {
  if (job.scriptPath === undefined) return job.script ?? '';
  try {
    return (await host.files.readRange(job.scriptPath, 0, scriptHeadBytes, { signal })).toString();
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    if (!['FileNotFound', 'PermissionDenied', 'InvalidRequest'].includes(error.code)) throw error;
    const message = `Unexpected Slurm command response. exit_status:1 std_err:sbatch: error: Unable to open file ${job.scriptPath}`;
    throw new BrokerError('InvalidJob', message, { cause: error });
  }
}
