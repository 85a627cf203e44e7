/** How long a task that waits for what its client does may lie between two looks. */

/** What a client has done is to be noticed within 2 s, with a look's own time in it. */
const waitMsMin = 1_500;
const waitMsMax = 15_000;
/** Whoever takes longer than an hour is looked for further and further apart, down to the most after ten hours. */
const waitShare = 1 / 2_400;

/** `sinceMs`: how long the client has taken so far. One that does not want to wait says so (POST /tasks/{id}/transfer). */
export function clientWaitMs(sinceMs: number): number {
  return Math.min(waitMsMax, Math.max(waitMsMin, sinceMs * waitShare));
}
