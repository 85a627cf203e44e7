/** The RateLimit headers (IETF httpapi draft): what the limit of a user is, and what is left of it. */
import { type RateState, windowSeconds } from '../../shared/platform/user-rate.ts';

/** Name of the policy; in the headers a string of RFC 9651. */
export const ratePolicy = 'tasks';
const policy = `"${ratePolicy}"`;

/** Empty where the request took nothing from a limit. */
export function rateHeaders(rate: RateState | null | undefined): Record<string, string> {
  if (!rate) return {};
  return {
    'ratelimit-policy': `${policy};q=${rate.limit.burst};w=${windowSeconds(rate.limit)}`,
    ratelimit: `${policy};r=${rate.remaining};t=${rate.resetSeconds}`,
  };
}
