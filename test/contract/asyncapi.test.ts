/** The AsyncAPI document is one, by AsyncAPI's own JSON Schema, and tells of every type of event that there is. */
import specs from '@asyncapi/specs';
import { Ajv } from 'ajv';
import { expect, it } from 'vitest';
import { eventTypeNames, viewEvent } from '../../shared/tasks/event.ts';
import { createLocalGate, createTestApp } from '../unit/api-fixture.ts';

interface Channel {
  address: string | null;
  messages: Record<string, { payload: object; headers?: { required: string[] } }>;
}

interface Document {
  channels: Record<string, Channel>;
  operations: Record<string, { action: string; channel: { $ref: string }; messages: { $ref: string }[] }>;
  components: { schemas: { Event: object } };
}

// Draft 7, as AsyncAPI publishes it; what its formats say is left to the test of OpenAPI's dialect.
const published: object = specs.schemasWithoutId['3.0.0'];
const ajv = () => new Ajv({ strict: false, validateFormats: false, allErrors: true });

async function documentOf(publicUrl: string | null): Promise<Document> {
  const response = await createTestApp(createLocalGate().gate, {}, { publicUrl }).request('/asyncapi.json');
  expect(response.status).toBe(200);
  return (await response.json()) as Document;
}

it.each([null, 'https://hpc.example/broker'])(
  'the document is AsyncAPI 3.0.0, with the public address %s',
  async (url) => {
    const check = ajv().compile(published);
    const document = await documentOf(url);
    expect(check(document) ? [] : check.errors).toEqual([]);
    expect(check({ ...document, operations: { x: { action: 'shout' } } })).toBe(false); // the check is one
  },
);

it('streams and webhooks have a message of each type, and every reference leads somewhere', async () => {
  const document = await documentOf(null);
  const ofTasks = eventTypeNames.filter((type) => type.startsWith('task.'));
  for (const [name, { messages }] of Object.entries(document.channels)) {
    expect(Object.keys(messages)).toEqual(name === 'taskEvents' ? ofTasks : eventTypeNames);
  }
  expect(document.channels.webhooks?.messages['task.failed']?.headers?.required).toContain('webhook-signature');
  const at = (ref: string): unknown =>
    ref
      .slice(2)
      .split('/')
      .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], document);
  for (const { channel, messages } of Object.values(document.operations)) {
    for (const { $ref } of [channel, ...messages]) expect(at($ref), $ref).toBeDefined();
  }
});

it('an event as it is told is as its message says, and one of another type is not', async () => {
  const document = await documentOf(null);
  const payload = document.channels.events?.messages['task.failed']?.payload;
  const check = ajv().compile({ ...payload, components: document.components });
  const event = {
    ...{ id: '1-0', taskId: 't', sequence: 3, at: 1, operation: 'filesystem.stat', system: 'alps', attempt: 1 },
    ...{ step: null, errorCode: 'FileNotFound' },
  };
  expect(check(viewEvent({ ...event, type: 'task.failed' }, ''))).toBe(true);
  expect(check(viewEvent({ ...event, type: 'task.completed' }, ''))).toBe(false);
  const ended = document.channels.webhooks?.messages['job.ended']?.payload;
  const checkJob = ajv().compile({ ...ended, components: document.components });
  const of = { id: '1-0', watchId: 'watch_1', sequence: 2, at: 1, system: 'alps', jobId: '7' };
  const facts = { state: 'FAILED', stateReason: null, exitCode: 3, signal: null };
  expect(checkJob(viewEvent({ ...of, facts, type: 'job.ended' }, ''))).toBe(true);
  expect(checkJob(viewEvent({ ...event, type: 'task.failed' }, ''))).toBe(false);
  const disabled = document.channels.events?.messages['webhook.disabled']?.payload;
  const checkDisabled = ajv().compile({ ...disabled, components: document.components });
  const own = { id: '1-0', type: 'webhook.disabled', webhookId: 'wh_1', sequence: 1, at: 1 };
  expect(checkDisabled(viewEvent({ ...own, reason: 'failing', failingSince: 0 }, ''))).toBe(true);
  expect(checkDisabled(viewEvent({ ...event, type: 'task.failed' }, ''))).toBe(false);
});
