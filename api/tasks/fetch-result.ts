/** Fetches a result that was too large for the task record from the worker that holds it. */
import { BrokerError } from '../../shared/errors/broker-error.ts';

const fetchMs = 30_000;

/** The result as JSON text. It can be fetched once; WorkerLost when it is gone or its worker does not answer. */
export async function fetchResult(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(fetchMs), redirect: 'error' });
    if (response.status === 200) return await response.text();
    throw new Error(`status ${response.status}`);
  } catch (error) {
    throw new BrokerError('WorkerLost', 'The result was lost on its way; it was too large to be kept.', {
      cause: error,
    });
  }
}
