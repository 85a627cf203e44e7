/** Holds the owner's access token at hand while a task runs whose SSH credentials need one. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { TokenSealer } from '../../shared/tasks/sealed-token.ts';
import type { UserTokens } from '../ssh/credentials/user-tokens.ts';
import type { Attempt, TaskRunnerDependencies } from './task-runner.ts';

type Perform = TaskRunnerDependencies['perform'];

/** As `perform`. Work that was begun and can no longer be looked at ends as OutcomeUnknown, never as a failure. */
export function withUserToken(
  perform: Perform,
  tokens: Pick<UserTokens, 'hold'>,
  sealer: Pick<TokenSealer, 'open'>,
): Perform {
  return async (operation, attempt) => {
    const { sealedToken, principal } = attempt.task;
    if (sealedToken === null) return perform(operation, attempt);
    const letGo = tokens.hold(principal.username, openToken(sealer, sealedToken, attempt));
    try {
      return await perform(operation, attempt);
    } catch (error) {
      const isTooLate = error instanceof BrokerError && error.code === 'TokenExpired';
      if (!isTooLate || attempt.journal.entry === null) throw error;
      throw new BrokerError('OutcomeUnknown', `What was begun goes on by itself. ${error.message}`, { cause: error });
    } finally {
      letGo();
    }
  };
}

function openToken(sealer: Pick<TokenSealer, 'open'>, sealed: string, { task, log }: Attempt): string {
  try {
    return sealer.open(sealed, task.id);
  } catch (cause) {
    log.error({ err: cause }, 'the access token of a task cannot be opened: is a sealing key gone too early?');
    throw new BrokerError('SshCredentialsRefused', 'The access token of the task cannot be opened: send it again.', {
      cause,
    });
  }
}
