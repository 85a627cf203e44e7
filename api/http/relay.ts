/**
 * Streams a worker's answer to the client, past the application: what is in memory is what the sockets hold. A failure in
 * the middle breaks the connection off, so that what the client has is never taken for the whole.
 */
import { finished } from 'node:stream/promises';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { AppContext } from './app-env.ts';
import type { WorkerAnswer } from './worker-port.ts';

/** Resolves when the last byte is on its way to the client, or the connection is broken off. */
export async function relayAnswer(
  c: AppContext,
  answer: WorkerAnswer,
  status: number,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  const { outgoing } = c.env;
  outgoing.writeHead(status, { ...c.get('takeHeaders')(), ...headers });
  try {
    await answer.moveTo(outgoing);
    await finished(outgoing.end());
    c.set('relayed', { status });
  } catch (error) {
    outgoing.destroy();
    c.set('relayed', { status, brokenOffBy: String(error) });
  }
  return RESPONSE_ALREADY_SENT;
}

/** Those of a worker's answer that are the client's too. */
export function pickHeaders(answer: Pick<WorkerAnswer, 'headers'>, names: readonly string[]): Record<string, string> {
  const sent = names.map((name) => [name, answer.headers[name]] as const);
  return Object.fromEntries(sent.filter((pair): pair is [string, string] => typeof pair[1] === 'string'));
}
