/**
 * The AsyncAPI 3.0.0 document: what this service tells without being asked each time, by event streams and webhooks. Made of
 * the same schemas as the OpenAPI document.
 */
import { type EventType, eventSchemaOf, eventTypeNames, eventTypes } from '../../shared/tasks/event.ts';
import type { AppConfig, AppContext } from '../http/app-env.ts';
import { textResponse } from '../http/json-response.ts';
import { eventComponents } from './event-schemas.ts';
import type { Json } from './parts.ts';

/** A name that may be a key of AsyncAPI's: letters, digits, `.`, `-` and `_` only. */
const typeNames: readonly EventType[] = eventTypeNames;
const taskTypeNames = typeNames.filter((type) => type.startsWith('task.'));

function serversOf({ api }: AppConfig): Json {
  if (api.publicUrl === null) return {};
  const { host, protocol, pathname } = new URL(api.publicUrl);
  const path = pathname === '/' ? {} : { pathname };
  return { servers: { api: { host, protocol: protocol.replace(':', ''), ...path } } };
}

function messages(types: readonly string[], headers?: Json): Json {
  const told = Object.entries(eventTypes).filter(([type]) => types.includes(type));
  return Object.fromEntries(
    told.map(([type, summary]) => [
      type,
      {
        ...{ name: type, title: type, summary, contentType: 'application/json' },
        payload: {
          allOf: [
            { $ref: `#/components/schemas/${eventSchemaOf(type as EventType).name}` },
            { properties: { type: { const: type } } },
          ],
        },
        ...(headers === undefined ? {} : { headers }),
      },
    ]),
  );
}

const signed: Json = {
  type: 'object',
  properties: {
    'webhook-id': { type: 'string', description: 'The same at every attempt' },
    'webhook-timestamp': { type: 'string', description: 'Of this attempt, in seconds since the epoch' },
    'webhook-signature': { type: 'string', description: 'Standard Webhooks 1.0.0, `v1` or `v1a`' },
  },
  required: ['webhook-id', 'webhook-timestamp', 'webhook-signature'],
};

function tells(channel: string, summary: string, types = typeNames): Json {
  const told = types.map((type) => ({ $ref: `#/channels/${channel}/messages/${type}` }));
  return { action: 'send', channel: { $ref: `#/channels/${channel}` }, summary, messages: told };
}

/** The document. Pure; the same for the life of a process. */
export function asyncApiDocument(config: AppConfig): Json {
  const stream = { bindings: { http: { bindingVersion: '0.3.0' } } };
  const post = { bindings: { http: { method: 'POST', bindingVersion: '0.3.0' } } };
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Goldcrest',
      version: config.version,
      description:
        'Events of tasks, of watched jobs and of webhooks. What is asked for by request is in the OpenAPI document, at /openapi.json.',
    },
    ...serversOf(config),
    defaultContentType: 'application/json',
    channels: {
      events: {
        ...{
          address: '/events',
          title: 'Server-sent events of all of your tasks and watched jobs',
          messages: messages(typeNames),
        },
      },
      taskEvents: {
        ...{
          address: '/tasks/{id}/events',
          title: 'Server-sent events of one task',
          messages: messages(taskTypeNames),
        },
        parameters: { id: { description: 'Id of the task' } },
      },
      webhooks: {
        ...{ address: null, title: 'A webhook of yours', messages: messages(typeNames, signed) },
        description:
          'POSTed to the address of the webhook; with `format: cloudevents` as a CloudEvent 1.0 around `data`.',
      },
    },
    operations: {
      streamEvents: {
        ...tells('events', 'Each event of your tasks and watched jobs, from now on or after Last-Event-ID'),
        ...stream,
      },
      streamTaskEvents: { ...tells('taskEvents', 'Each event of the task, until its end', taskTypeNames), ...stream },
      sendWebhook: { ...tells('webhooks', 'Each event of the types that the webhook asks for'), ...post },
    },
    components: { schemas: eventComponents() },
  };
}

/** Made on the first request and kept. */
export function serveAsyncApi(config: AppConfig): (c: AppContext) => Response {
  let text: string | undefined;
  return (c) => {
    text ??= JSON.stringify(asyncApiDocument(config));
    return textResponse(c, 200, text, { 'content-type': 'application/json' });
  };
}
