/** The compute nodes, as the scheduler shows them to the user. */
import type { ResultOf } from '../../../shared/operations/operation.ts';
import type { nodes } from '../../../shared/operations/status/nodes.ts';
import type { OperationContext } from '../operation-context.ts';

/** SchedulerFailed. */
export async function handleNodes(
  _input: Record<string, never>,
  { scheduler, host, signal }: OperationContext,
): Promise<ResultOf<typeof nodes>> {
  return { nodes: await scheduler.nodes(host, signal) };
}
