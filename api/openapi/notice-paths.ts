/** The parts of the OpenAPI document about event streams and webhooks. */
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import { type EventType, eventSchemaOf, eventTypes } from '../../shared/tasks/event.ts';
import { deliveryView } from '../../shared/webhooks/delivery.ts';
import {
  endpointChange,
  endpointSubmission,
  endpointView,
  newEndpointView,
  rotationWish,
} from '../../shared/webhooks/endpoint.ts';
import { ticketView } from '../faces/events/create-ticket.ts';
import { redeliveryWish } from '../faces/webhooks/deliveries.ts';
import { requestSchema, resultSchema } from './json-schemas.ts';
import { errorResponses, idempotencyHeader, type Json, jsonContent, parameter } from './parts.ts';

/** Of a POST that takes an Idempotency-Key and makes no task. */
const onceErrors: readonly ErrorCode[] = ['InvalidRequest', 'IdempotencyMismatch', 'IdempotencyRunning', 'TaskExpired'];

const ticketErrors = ['Unauthenticated', 'UsernameClaimMissing', 'Forbidden', 'Internal', 'StoreUnavailable'] as const;

/** Paths of the event streams and their tickets. */
export function eventPaths(): Json {
  const text = { type: 'string' };
  const parameters = [
    parameter('Last-Event-ID', 'header', false, { ...text, description: 'Go on after this event' }),
    parameter('last_event_id', 'query', false, { ...text, description: 'The same, for who can send no header' }),
    parameter('ticket', 'query', false, { ...text, description: 'In place of a token; from POST /events/tickets' }),
  ];
  // One event of the stream, by the fields of its format.
  const event = { type: 'object', properties: { id: text, event: text, data: text } };
  const stream = { content: { 'text/event-stream': { schema: event } } };
  const errors = [
    'InvalidRequest',
    'Unauthenticated',
    'Forbidden',
    'TooManyStreams',
    'Internal',
    'StoreUnavailable',
  ] as const;
  const id = parameter('id', 'path', true, { type: 'string', format: 'uuid' });
  return {
    '/events': {
      get: {
        operationId: 'stream_events',
        summary: 'What happens to your tasks and watched jobs, as server-sent events',
        tags: ['events'],
        parameters,
        responses: {
          200: {
            description: 'Events as they happen; the schema of their data is Event, or JobEvent of `job.…`',
            ...stream,
          },
          ...errorResponses(errors),
        },
      },
    },
    '/tasks/{id}/events': {
      get: {
        operationId: 'stream_task_events',
        summary: 'What happens to one task, from its first event to its end',
        tags: ['events'],
        parameters: [id, ...parameters],
        responses: {
          200: { description: 'Its events; the stream ends with the task', ...stream },
          204: { description: 'The task has ended, and the client knows it: nothing comes any more' },
          ...errorResponses([...errors, 'TaskNotFound', 'TaskExpired']),
        },
      },
    },
    '/events/tickets': {
      post: {
        operationId: 'create_event_ticket',
        summary: 'A ticket with which a browser may open one event stream, within a minute',
        tags: ['events'],
        parameters: [idempotencyHeader],
        responses: {
          201: { description: 'The ticket', ...jsonContent(resultSchema(ticketView)) },
          ...errorResponses([...ticketErrors, ...onceErrors]),
        },
      },
    },
  };
}

const webhookErrors: readonly ErrorCode[] = [
  'Unauthenticated',
  'TokenInvalid',
  'UsernameClaimMissing',
  'Forbidden',
  'WebhookNotFound',
  'NotSupported',
  'Internal',
  'StoreUnavailable',
];
const webhookBodyErrors: readonly ErrorCode[] = ['InvalidRequest', 'BodyTooLarge', 'UnsupportedMediaType'];

/** Paths of the endpoints and their deliveries. */
export function webhookPaths(): Json {
  const id = parameter('id', 'path', true, { type: 'string' });
  const deliveryId = parameter('delivery_id', 'path', true, { type: 'string' });
  const listOf = (name: string, item: Json): Json => ({
    type: 'object',
    properties: { [name]: { type: 'array', items: item } },
    required: [name],
  });
  const endpoint = resultSchema(endpointView);
  const withSecret = resultSchema(newEndpointView);
  const redelivered = listOf('redelivered', { type: 'string' });
  const operation = (
    operationId: string,
    summary: string,
    {
      parameters = [id],
      isOnce = false,
      body,
      status = 200,
      answer,
    }: { parameters?: Json[]; isOnce?: boolean; body?: Json; status?: number; answer?: Json },
  ): Json => ({
    ...{
      operationId,
      summary,
      tags: ['webhooks'],
      parameters: isOnce ? [...parameters, idempotencyHeader] : parameters,
    },
    ...(body === undefined ? {} : { requestBody: { required: true, ...jsonContent(body) } }),
    responses: {
      [status]: { description: summary, ...(answer === undefined ? {} : jsonContent(answer)) },
      ...errorResponses([
        ...webhookErrors,
        ...(body === undefined ? [] : webhookBodyErrors),
        ...(body === undefined ? [] : (['WebhookNotAllowed', 'TooManyWebhooks'] as const)),
        ...(isOnce ? onceErrors : []),
      ]),
    },
  });
  return {
    '/webhooks': {
      post: operation('create_webhook', 'Make a webhook; its secret is shown here and never again', {
        ...{ parameters: [], isOnce: true, body: requestSchema(endpointSubmission), status: 201, answer: withSecret },
      }),
      get: operation('list_webhooks', 'Your webhooks', { parameters: [], answer: listOf('webhooks', endpoint) }),
    },
    '/webhooks/{id}': {
      get: operation('get_webhook', 'A webhook', { answer: endpoint }),
      patch: operation('change_webhook', 'Change a webhook', { body: requestSchema(endpointChange), answer: endpoint }),
      delete: operation('remove_webhook', 'Remove a webhook and its deliveries', { status: 204 }),
    },
    '/webhooks/{id}/rotate': {
      post: operation('rotate_webhook_key', 'A new key; both sign for a while', {
        ...{ isOnce: true, body: requestSchema(rotationWish), answer: withSecret },
      }),
    },
    '/webhooks/{id}/test': {
      post: operation('test_webhook', 'Send a message of the type webhook.test', {
        ...{
          isOnce: true,
          status: 202,
          answer: { type: 'object', properties: { delivery: { type: 'string' } }, required: ['delivery'] },
        },
      }),
    },
    '/webhooks/{id}/deliveries': {
      get: operation('list_deliveries', 'The last deliveries, newest first', {
        answer: listOf('deliveries', resultSchema(deliveryView)),
      }),
    },
    '/webhooks/{id}/deliveries/{delivery_id}/redeliver': {
      post: operation('redeliver_one', 'Send a delivery once more', {
        ...{ parameters: [id, deliveryId], isOnce: true, status: 202, answer: redelivered },
      }),
    },
    '/webhooks/{id}/redeliver': {
      post: operation('redeliver_since', 'Send deliveries since a time once more', {
        ...{ isOnce: true, body: requestSchema(redeliveryWish), status: 202, answer: redelivered },
      }),
    },
  };
}

/** What receivers of webhooks are sent, by type. */
export function webhookMessages(): Json {
  const text = { type: 'string' };
  const parameters = [
    parameter('webhook-id', 'header', true, { ...text, description: 'The same at every attempt' }),
    parameter('webhook-timestamp', 'header', true, {
      ...text,
      description: 'Of this attempt, in seconds since the epoch',
    }),
    parameter('webhook-signature', 'header', true, { ...text, description: 'Standard Webhooks 1.0.0, `v1` or `v1a`' }),
  ];
  const messages = Object.entries(eventTypes).map(([type, summary]) => [
    type,
    {
      post: {
        operationId: `webhook_${type.replaceAll('.', '_')}`,
        ...{
          summary,
          tags: ['webhooks'],
          parameters,
          requestBody: { required: true, ...jsonContent(resultSchema(eventSchemaOf(type as EventType).view)) },
        },
        responses: {
          '2XX': { description: 'It was received' },
          410: { description: 'Send nothing more: the webhook is disabled' },
        },
      },
    },
  ]);
  return Object.fromEntries(messages) as Json;
}
