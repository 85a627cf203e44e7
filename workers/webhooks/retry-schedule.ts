/** When a delivery is tried again: the schedule of Standard Webhooks, stretched by chance and by what the receiver asks. */

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** From the end of one attempt to the next, in milliseconds; after the last one the delivery has failed. */
export const retryDelaysMs: readonly number[] = [
  5 * second,
  5 * minute,
  30 * minute,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
];

/** A delay is longer than its entry by up to this part, so that what failed together does not come back together. */
const jitterPart = 0.2;
const retryAfterMsMax = 24 * hour;

/** Null: that was the last attempt. `tries` counts those made; `random` is from 0 to 1. */
export function nextDelayMs(tries: number, retryAfterMs: number | null, random: number): number | null {
  const delayMs = retryDelaysMs[tries - 1];
  if (delayMs === undefined) return null;
  const stretched = delayMs * (1 + jitterPart * random);
  return Math.round(Math.max(stretched, Math.min(retryAfterMs ?? 0, retryAfterMsMax)));
}
