/** Runs a command inside a running job and hands back what it wrote. */
import type { attach } from '../../../shared/operations/compute/attach.ts';
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { OperationContext } from '../operation-context.ts';

/** JobNotFound, JobNotRunning, PermissionDenied, NotSupported, SchedulerFailed, CommandTimeout, OutcomeUnknown. Not to be run twice. */
export async function handleAttach(
  { jobId, command }: InputOf<typeof attach>,
  { scheduler, host, signal }: OperationContext,
): Promise<ResultOf<typeof attach>> {
  return scheduler.attach(host, { jobId, command, signal });
}
