/** Waiting for what others wait for as well: one's own abort ends the wait, not the work. */

/** As `work`, or the reason of `signal` when that aborts first. */
export function beforeAbort<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    const settled = () => signal.removeEventListener('abort', abort);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    work.then(resolve, reject);
    work.then(settled, settled);
  });
}
