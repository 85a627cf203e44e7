/** What the parts of the OpenAPI document are made of: schemas, parameters and answers that several routes share. */

import { describeError, type ErrorCode } from '../../shared/errors/catalogue.ts';
import { webhookHeader, webhookSecretHeader } from '../faces/named-webhook.ts';
import { taskMinimalView } from '../faces/task-accepted.ts';
import { resultSchema } from './json-schemas.ts';

export type Json = Record<string, unknown>;

/** Errors of every route that asks who is there. */
export const accessErrors: readonly ErrorCode[] = [
  'UsernameClaimMissing',
  'Unauthenticated',
  'Forbidden',
  'IssuerUnavailable',
  'AuthorizationUnavailable',
  'StoreUnavailable',
];

/** Errors that any authenticated operation can answer with. */
export const commonErrors: readonly ErrorCode[] = [
  ...accessErrors,
  'InvalidRequest',
  'HoldTimeout',
  'TaskCanceled',
  'UserQueueFull',
  'RateLimited',
  'SshUnavailable',
  'Internal',
  'StoreFull',
];

/** Errors of any operation with a body. */
export const bodyErrors: readonly ErrorCode[] = ['BodyTooLarge', 'UnsupportedMediaType'];

/** Errors of any operation that takes an Idempotency-Key. */
export const mutationErrors: readonly ErrorCode[] = ['IdempotencyMismatch'];

/** Errors of a route that makes something out of a body, once for an Idempotency-Key. */
export const makingErrors: readonly ErrorCode[] = [...commonErrors, ...bodyErrors, ...mutationErrors];

export function parameter(name: string, place: 'path' | 'query' | 'header', isRequired: boolean, schema: Json): Json {
  const { description, ...rest } = schema;
  return { name, in: place, required: isRequired, schema: rest, ...(description === undefined ? {} : { description }) };
}

export const preferHeader = parameter('Prefer', 'header', false, {
  type: 'string',
  description:
    '`respond-async`: answer 202 with the task; `wait=N`: wait N seconds at most; `return=minimal`: of a task its id and state only, of a change no `output` (RFC 7240)',
});
/** To be told of the end of the task behind any request. */
export const webhookHeaders = [
  parameter(webhookHeader, 'header', false, {
    type: 'string',
    description: 'An address to tell of the end of the task, by a signed webhook; see Standard Webhooks',
  }),
  parameter(webhookSecretHeader, 'header', false, {
    type: 'string',
    description: 'With it: what to sign with, `whsec_` and base64 of 24 to 64 bytes',
  }),
];
export const webhookErrors: readonly ErrorCode[] = ['WebhookNotAllowed', 'NotSupported'];
export const idempotencyHeader = parameter('Idempotency-Key', 'header', false, {
  type: 'string',
  description: 'A repeat with the same key and the same request finds the task of the first, or gets its answer',
});

export function errorResponses(codes: readonly ErrorCode[]): Json {
  const byStatus = new Map<number, string[]>();
  for (const code of codes) {
    const { status, title } = describeError(code);
    byStatus.set(status, [...(byStatus.get(status) ?? []), `${code}: ${title}`]);
  }
  const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
  return Object.fromEntries(
    [...byStatus].map(([status, titles]) => [String(status), { description: titles.join('; '), content }]),
  );
}

export function jsonContent(schema: Json): Json {
  return { content: { 'application/json': { schema } } };
}

export const taskRef = { $ref: '#/components/schemas/Task' };
export const taskMinimal = resultSchema(taskMinimalView);
export const acceptedTask = {
  description: 'The task was accepted; Location names it. With `return=minimal` only its id and state',
  ...jsonContent({ anyOf: [taskRef, taskMinimal] }),
};
