/**
 * The access tokens of the users whose tasks run now, for services that give credentials to a token only. A token is
 * held while its task runs, in memory, and forgotten with the task's end.
 */
import { decodeJwt } from 'jose';
import { BrokerError } from '../../../shared/errors/broker-error.ts';

/** The token of a system's service account, where that is the user; null for other users. */
export type AccountToken = (system: string, username: string) => Promise<string | null>;

export interface UserTokens {
  /** Keeps the token at hand until the returned function is called. */
  hold(username: string, token: string): () => void;
  /**
   * The user's token that lives longest, else the service account's. Throws TokenExpired when all have ended,
   * SshCredentialsRefused when there is none.
   */
  tokenFor(system: string, username: string): Promise<string>;
}

interface HeldToken {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly endsAt: number;
}

/** A token must outlive the request it goes along with. */
const lifeMsMin = 2_000;

/** As many as tasks run: no bound of its own. */
export function createUserTokens(accountToken: AccountToken): UserTokens {
  const held = new Map<string, Set<HeldToken>>();

  function longest(username: string): HeldToken | undefined {
    return [...(held.get(username) ?? [])].sort((one, other) => other.endsAt - one.endsAt)[0];
  }

  return {
    hold(username, token) {
      const entry = { token, endsAt: endOf(token) };
      const ofUser = held.get(username) ?? new Set();
      held.set(username, ofUser.add(entry));
      return () => {
        ofUser.delete(entry);
        if (ofUser.size === 0 && held.get(username) === ofUser) held.delete(username);
      };
    },
    async tokenFor(system, username) {
      const best = longest(username);
      if (best !== undefined && best.endsAt - Date.now() > lifeMsMin) return best.token;
      const ofAccount = await accountToken(system, username);
      if (ofAccount !== null) return ofAccount;
      if (best === undefined) {
        const message = `There is no access token of user ${username} to get SSH credentials with.`;
        throw new BrokerError('SshCredentialsRefused', message);
      }
      throw new BrokerError(
        'TokenExpired',
        `The access token of the request ended at ${new Date(best.endsAt).toISOString()}, before its work did; without one there are no SSH credentials for ${system}.`,
      );
    },
  };
}

/** The API has verified the token; one without an end was not taken. */
function endOf(token: string): number {
  return (decodeJwt(token).exp ?? 0) * 1_000;
}
