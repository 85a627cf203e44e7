/** What no request removes. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { OperationContext } from '../operation-context.ts';

/** The root of the host, a configured file system, and what one of them lies in: too much for one request. */
export async function refuseRoots(
  path: string,
  { pathGate, signal }: Pick<OperationContext, 'pathGate' | 'signal'>,
): Promise<void> {
  const root = await pathGate.rootWithin(path, signal);
  if (root === null) return;
  const reason = path === '/' ? 'the root of the host' : `the file system ${root}`;
  throw new BrokerError('InvalidRequest', `rm: refusing to remove '${path}': ${reason} is not removed by a request.`);
}
