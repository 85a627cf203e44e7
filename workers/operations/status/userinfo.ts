/** User and groups by the host, accounts by the scheduler. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { ResultOf } from '../../../shared/operations/operation.ts';
import type { userinfo } from '../../../shared/operations/status/userinfo.ts';
import type { OperationContext } from '../operation-context.ts';
import { findPosixIdentity } from './posix-identity.ts';

/** RemoteCommandFailed. An accounting that does not answer makes the accounts null: who the user is stays true. */
export async function handleUserinfo(
  _input: Record<string, never>,
  { shell, scheduler, host, signal, log }: OperationContext,
): Promise<ResultOf<typeof userinfo>> {
  const [{ user, group, groups }, accounts] = await Promise.all([
    findPosixIdentity(shell, signal),
    scheduler.accounts(host, signal).catch((error: unknown) => {
      if (!(error instanceof BrokerError && ['SchedulerFailed', 'NotSupported'].includes(error.code))) throw error;
      log.warn({ err: error }, 'the accounts of the user could not be read');
      return null;
    }),
  ]);
  return { user, group, groups: groups.map((each) => ({ ...each, default: each.id === group.id })), accounts };
}
