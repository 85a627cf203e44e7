/** A wait that ends early when its client goes away. */

/** Gives up waiting, by `abandon`, when `signal` aborts. */
export async function untilAborted<T>(ended: Promise<T>, abandon: () => void, signal: AbortSignal): Promise<T> {
  if (signal.aborted) abandon();
  signal.addEventListener('abort', abandon, { once: true });
  try {
    return await ended;
  } finally {
    signal.removeEventListener('abort', abandon);
  }
}
