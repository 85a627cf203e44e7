/**
 * The access token in a task's record, for services that give SSH credentials to a token only: sealed for that one task,
 * and removed by the script that ends it.
 */
import type { Config } from '../platform/config/config.ts';
import { createSealer } from '../platform/sealing.ts';

export interface TokenSealer {
  seal(token: string, taskId: string): string;
  /** Throws where the key is not known any more, or the token was sealed for another task. */
  open(sealed: string, taskId: string): string;
}

/** Null where no service wants a token: then none is kept. */
export function createTokenSealer({
  sshCredentials: { type },
  tokens,
}: Pick<Config, 'sshCredentials' | 'tokens'>): TokenSealer | null {
  const sealer = type === 'ssh-service' || type === 'ssh-ca' ? createSealer(tokens.sealingKeys) : null;
  if (sealer === null) return null;
  const placeOf = (taskId: string): string => `token of task ${taskId}`;
  return {
    seal: (token, taskId) => sealer.seal(token, placeOf(taskId)),
    open: (sealed, taskId) => sealer.open(sealed, placeOf(taskId)),
  };
}
