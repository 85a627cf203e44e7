/** POST /tasks/batch: many submissions in one request, each accepted or refused for itself. */
import { z } from 'zod';
import { toBrokerError } from '../../../shared/errors/broker-error.ts';
import { describeError } from '../../../shared/errors/catalogue.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { batchFingerprint, readIdempotencyKey } from '../../http/idempotency-key.ts';
import { invalidField } from '../../http/invalid-request.ts';
import { readJsonBody } from '../../http/json-body.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { problemBody, retryAfterSecondsOf } from '../../http/problem.ts';
import type { AcceptRequest } from '../../tasks/task-gate.ts';
import { acceptRequestOf, callerOf } from '../accept-task.ts';
import { taskLocation } from '../task-accepted.ts';
import { type AdmitDeps, admitSubmission, taskSubmission, wishIn } from './submission.ts';

/** Most submissions in a batch. */
export const batchMax = 1_000;
/** Submissions that are on their way to Redis at once; one write carries them. */
const atOnce = 100;

/** The body of POST /tasks/batch. */
export const batchSubmission = z.object({
  tasks: z.array(taskSubmission).min(1).max(batchMax).describe('Each as POST /tasks takes it'),
});

/** What became of one submission. */
export const batchItemView = z.object({
  status: z.int().describe('The status that POST /tasks would have answered with'),
  id: z.string().nullable(),
  location: z.string().nullable(),
  isReplay: z.boolean().describe('Whether the task was made by an earlier request with the same key'),
  error: z.object({ code: z.string(), message: z.string(), retryable: z.boolean() }).loose().nullable(),
});

export const batchView = z.object({
  accepted: z.int(),
  refused: z.int(),
  items: z.array(batchItemView).describe('In the order of the submissions'),
});

type BatchDeps = AdmitDeps & Pick<AppDeps, 'config' | 'gate' | 'meter' | 'log'>;
type Item = z.infer<typeof batchItemView>;

function submissionsOf(body: Record<string, unknown>): unknown[] {
  const unknown = Object.keys(body).find((name) => name !== 'tasks');
  if (unknown !== undefined) throw invalidField('body', `/${unknown}`, 'is not known');
  const { tasks } = body;
  if (!Array.isArray(tasks)) throw invalidField('body', '/tasks', 'must be a list of submissions');
  if (tasks.length === 0 || tasks.length > batchMax) {
    throw invalidField('body', '/tasks', `must hold 1 to ${batchMax} submissions, not ${tasks.length}`);
  }
  return tasks;
}

/** Of a batch with a key each task has one of its own; a line feed keeps it apart from what a header can hold. */
async function submitOne(
  c: AppContext,
  deps: BatchDeps,
  submission: unknown,
  idempotency: { key: string; fingerprint: string } | undefined,
): Promise<Item> {
  let isRecorded = false;
  try {
    if (typeof submission !== 'object' || submission === null || Array.isArray(submission)) {
      throw invalidField('body', '', 'must be an object');
    }
    const wish = await admitSubmission(deps, callerOf(c), submission as Record<string, unknown>);
    const request = acceptRequestOf(c, { ...wish, isKeyed: false, ...(idempotency ? { idempotency } : {}) });
    const onAccepted: AcceptRequest['onAccepted'] = (...task) => {
      isRecorded = true;
      return request.onAccepted?.(...task);
    };
    const { id, isReplay } = await deps.gate.accept({ ...request, onAccepted });
    return { status: 202, id, location: taskLocation(deps.config, id), isReplay, error: null };
  } catch (thrown) {
    const error = toBrokerError(thrown);
    deps.meter?.count('goldcrest_http_errors_total', { code: error.code });
    // What came of an accept is recorded with it, under the id that it was to have.
    if (!isRecorded) c.get('record').refused(wishIn(submission), error);
    // Not thrown: the others are accepted, and their ids must be told.
    if (error.code === 'Internal') deps.log.error({ err: error.cause, requestId: c.get('requestId') }, error.message);
    const retryAfterSeconds = retryAfterSecondsOf(error);
    const problem = { ...problemBody(c, error), ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
    return { status: describeError(error.code).status, id: null, location: null, isReplay: false, error: problem };
  }
}

/**
 * 200 with one item for each submission. InvalidRequest where the batch itself is wrong; IdempotencyMismatch where its key
 * was used for another. With a key a repeat of the same batch finds the tasks of the first, and submits what was refused.
 */
export function submitBatch(deps: BatchDeps): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const bytesMax = deps.config.api.bodyBytesMax;
    const body = await readJsonBody(c, { bytesMax, wrongTypeCode: 'UnsupportedMediaType' });
    const submissions = submissionsOf(body);
    const key = readIdempotencyKey(c.req.header('idempotency-key'));
    const fingerprint = batchFingerprint(submissions);
    if (key !== undefined) await deps.gate.beginBatch(c.get('principal'), key, fingerprint);
    const items: Item[] = [];
    for (let at = 0; at < submissions.length; at += atOnce) {
      const part = submissions.slice(at, at + atOnce).map((submission, n) => {
        const idempotency = key === undefined ? undefined : { key: `${key}\n${at + n}`, fingerprint };
        return submitOne(c, deps, submission, idempotency);
      });
      items.push(...(await Promise.all(part)));
    }
    const accepted = items.filter(({ status }) => status === 202).length;
    const isHit = accepted > 0 && items.every(({ status, isReplay }) => status !== 202 || isReplay);
    return jsonResponse(
      c,
      200,
      { accepted, refused: items.length - accepted, items },
      key === undefined ? {} : { 'idempotency-key-reply': isHit ? 'hit' : 'miss' },
    );
  };
}
