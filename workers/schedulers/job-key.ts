/** The key a job carries so that it can be found again: `goldcrest:<task id>`. */

/**
 * The key of a task's job; letters, digits, `-` and `:` only, so it needs no quotes anywhere. `run`: of work that is
 * submitted anew after a run that ended, since a key is good for one job.
 */
export function jobKey(taskId: string, run = 1): string {
  const key = `goldcrest:${taskId}`;
  return run > 1 ? `${key}:${run}` : key;
}

/** Whether the key stands in a text as a whole word: not within a longer id. */
export function containsKey(text: string, key: string): boolean {
  for (let at = text.indexOf(key); at !== -1; at = text.indexOf(key, at + 1)) {
    const before = text.charAt(at - 1);
    const after = text.charAt(at + key.length);
    if (!/[A-Za-z0-9:-]/.test(before) && !/[A-Za-z0-9:-]/.test(after)) return true;
  }
  return false;
}

/** Ids of digits in the order of their numbers, which is the order of submission. */
export function lowestFirst(jobIds: Iterable<string>): string[] {
  return [...jobIds].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
}
