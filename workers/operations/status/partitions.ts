/** The partitions, as the scheduler shows them to the user. */
import type { InputOf, ResultOf } from '../../../shared/operations/operation.ts';
import type { partitions } from '../../../shared/operations/status/partitions.ts';
import type { OperationContext } from '../operation-context.ts';

/** SchedulerFailed. */
export async function handlePartitions(
  { show_hidden: showsHidden }: InputOf<typeof partitions>,
  { scheduler, host, signal }: OperationContext,
): Promise<ResultOf<typeof partitions>> {
  return { partitions: await scheduler.partitions(host, { showsHidden, signal }) };
}
