/** A held upload on its way to a worker that asks for its bytes. */
import type { WorkerIntake, WorkerPort } from '../../http/worker-port.ts';
import type { HeldTransfer } from '../../tasks/hold-transfer.ts';

/**
 * A worker that asks for the bytes; null where the task ended without, or nobody waits any more. One that hangs says nothing: the
 * address of another attempt, or the end, is waited for along with its word.
 */
export async function meetIntake(
  workers: Pick<WorkerPort, 'put'>,
  transfer: Pick<HeldTransfer, 'nextOffer'>,
): Promise<WorkerIntake | null> {
  let offered = transfer.nextOffer();
  for (let url = await offered; url !== null; url = await offered) {
    const intake = workers.put(url);
    offered = transfer.nextOffer();
    if (await Promise.race([intake.isReady, offered.then(() => false)])) return intake;
    intake.close();
  }
  return null;
}
