/**
 * Remembers which tokens were verified, since a signature check costs more than the rest of a request. Keyed by the
 * token's SHA-256, so that a dump of memory shows no token of a finished request.
 */
import { hash } from 'node:crypto';
import type { Principal } from '../../shared/tasks/task.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import type { TokenBinding } from './token-binding.ts';

export interface VerifiedToken {
  principal: Principal;
  /** What must come with it, each time: that is never remembered as done. */
  binding: TokenBinding;
  /** Milliseconds since the epoch; from then on it must be verified again. */
  untilMs: number;
  /** The keys it was verified with. */
  keys: IssuerKeys;
  keysVersion: number;
}

export interface VerifiedTokens {
  find(key: string, nowMs: number): VerifiedToken | undefined;
  remember(key: string, token: VerifiedToken): void;
  readonly size: number;
}

export function tokenKey(token: string): string {
  return hash('sha256', token, 'base64');
}

/** Holds at most `entriesMax`; the one not used for longest goes first. */
export function createVerifiedTokens(entriesMax: number): VerifiedTokens {
  const entries = new Map<string, VerifiedToken>();
  return {
    find(key, nowMs) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      if (nowMs >= entry.untilMs || entry.keys.version() !== entry.keysVersion) return undefined;
      entries.set(key, entry);
      return entry;
    },
    remember(key, token) {
      entries.delete(key);
      entries.set(key, token);
      if (entries.size <= entriesMax) return;
      const oldest = entries.keys().next();
      if (oldest.done !== true) entries.delete(oldest.value);
    },
    get size() {
      return entries.size;
    },
  };
}
