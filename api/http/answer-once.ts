/** The Idempotency-Key of a POST that makes no task: a repeat gets the answer of the first request, and changes nothing. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { KeptAnswers } from '../../shared/platform/kept-answers.ts';
import { principalKey } from '../../shared/tasks/task.ts';
import type { AppContext } from './app-env.ts';
import { fingerprintOf, readIdempotencyKey } from './idempotency-key.ts';
import { jsonResponse } from './json-response.ts';

/** An answer before it is one. */
export interface Answer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

const replyHeader = 'idempotency-key-reply';

/**
 * What `work` answers, once for each key. `wish` is what the body asks for. Throws IdempotencyMismatch, IdempotencyRunning and what
 * `work` throws, which keeps no key. With null for the answers no key counts: nothing could seal what is kept.
 */
export async function answerOnce(
  c: AppContext,
  answers: KeptAnswers | null,
  wish: unknown,
  work: () => Promise<Answer>,
): Promise<Response> {
  const key = readIdempotencyKey(c.req.header('idempotency-key'));
  if (key === undefined || answers === null) return respond(c, await work());
  const owner = principalKey(c.get('principal'));
  const fingerprint = fingerprintOf(`${c.req.method} ${c.req.path}`, null, wish);
  const begun = await answers.begin(owner, key, fingerprint);
  if (begun === 'running') {
    const message = 'The first request with this Idempotency-Key is not answered yet.';
    throw new BrokerError('IdempotencyRunning', message, { retryAfterSeconds: 1 });
  }
  if (begun !== 'new') return respond(c, JSON.parse(begun.answer) as Answer, { [replyHeader]: 'hit' });
  const answer = await work().catch(async (error: unknown) => {
    await answers.forget(owner, key);
    throw error;
  });
  await answers.keep(owner, key, fingerprint, JSON.stringify(answer));
  return respond(c, answer, { [replyHeader]: 'miss' });
}

function respond(c: AppContext, { status, body, headers = {} }: Answer, more: Record<string, string> = {}): Response {
  return jsonResponse(c, status, body, { ...headers, ...more });
}
