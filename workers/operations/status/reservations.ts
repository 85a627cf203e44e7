/** The reservations, as the scheduler shows them to the user. */
import type { ResultOf } from '../../../shared/operations/operation.ts';
import type { reservations } from '../../../shared/operations/status/reservations.ts';
import type { OperationContext } from '../operation-context.ts';

/** SchedulerFailed. */
export async function handleReservations(
  _input: Record<string, never>,
  { scheduler, host, signal }: OperationContext,
): Promise<ResultOf<typeof reservations>> {
  return { reservations: await scheduler.reservations(host, signal) };
}
