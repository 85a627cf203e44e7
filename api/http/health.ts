/** `/livez`: the process serves requests. `/readyz`: it can take work, so a balancer should send some. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { AppContext } from './app-env.ts';
import { jsonResponse } from './json-response.ts';

/** Longest wait for the readiness answer. */
const readinessMs = 2_000;

export function serveLivez(c: AppContext): Response {
  return jsonResponse(c, 200, { status: 'live' });
}

/** Throws the readiness error where it is one of ours, else StoreUnavailable. */
export function serveReadyz(readiness: () => Promise<void>): (c: AppContext) => Promise<Response> {
  return async (c) => {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new BrokerError('StoreUnavailable', 'The task store does not answer.')),
        readinessMs,
      );
    });
    try {
      await Promise.race([readiness(), tooLate]);
      return jsonResponse(c, 200, { status: 'ready' });
    } catch (thrown) {
      if (thrown instanceof BrokerError) throw thrown;
      throw new BrokerError('StoreUnavailable', 'The task store does not answer.', { cause: thrown });
    } finally {
      clearTimeout(timer);
    }
  };
}
