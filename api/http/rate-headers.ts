/** The RateLimit headers (IETF httpapi draft): what the limit of a user is, and what is left of it. */
import { type RateState, windowSeconds } from '../../shared/platform/user-rate.ts';

/** Name of the policy; in the headers a string of RFC 9651. */
export const ratePolicy = 'tasks';
const policy = `"${ratePolicy}"`;

/**
 * Of a refusal that no rate of the user explains, by the words of its code: nothing is left until it may be tried again. Without a
 * bound of its own, as where the store is away, it is that of the moment: none.
 */
export function refusalHeaders(words: string, quota: number, seconds: number): Record<string, string> {
  return { 'ratelimit-policy': `"${words}";q=${quota}`, ratelimit: `"${words}";r=0;t=${seconds}` };
}

/** Empty where the request took nothing from a limit. */
export function rateHeaders(rate: RateState | null | undefined): Record<string, string> {
  if (!rate) return {};
  return {
    'ratelimit-policy': `${policy};q=${rate.limit.burst};w=${windowSeconds(rate.limit)}`,
    ratelimit: `${policy};r=${rate.remaining};t=${rate.resetSeconds}`,
  };
}
