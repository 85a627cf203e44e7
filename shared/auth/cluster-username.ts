/** Which names accounts on clusters may have, and how the claim of a token becomes one. */
import type { IssuerConfig } from '../platform/config/config.ts';

/** A POSIX-like user name of at most 32 characters; it never begins with a hyphen, so it is no option of a command. */
export const clusterUsername = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/;

/** Longest value of a claim that a pattern is tried on. */
const claimCharsMax = 1_000;

export type UsernameRules = Pick<IssuerConfig, 'usernames' | 'usernamePattern'>;

/**
 * Whom the value of the claim stands for: by the table, else by the pattern, else by itself. Undefined: for nobody. That an
 * account may be called so is not checked.
 */
export function mapUsername(value: unknown, { usernames, usernamePattern }: UsernameRules): string | undefined {
  if (typeof value !== 'string') return undefined;
  if (Object.hasOwn(usernames, value)) return usernames[value];
  if (usernamePattern !== null) {
    return value.length > claimCharsMax ? undefined : new RegExp(`^(?:${usernamePattern})$`).exec(value)?.[1];
  }
  return Object.keys(usernames).length === 0 ? value : undefined;
}
