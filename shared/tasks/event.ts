/** The events of tasks, and of watched jobs and webhooks beside them: what an event stream and a webhook say. */
import { z } from 'zod';
import { type JobEvent, jobEventTypes, jobEventView, parseJobEvent, viewJobEvent } from '../watches/job-event.ts';
import {
  type EndpointEvent,
  endpointEventTypes,
  endpointEventView,
  parseEndpointEvent,
  viewEndpointEvent,
} from '../webhooks/endpoint-event.ts';

/** Every type of event, and what it means. */
export const eventTypes = {
  ...jobEventTypes,
  'task.accepted': 'A task was accepted and waits for a worker',
  'task.started': 'A worker began an attempt',
  'task.requeued': 'An attempt ended without an outcome; the task waits for another one',
  'task.step_completed': 'A step of a chain ended well; the next one waits for a worker',
  'task.completed': 'The task ended well',
  'task.failed': 'The task ended with an error',
  'task.canceled': 'The task was canceled',
  ...endpointEventTypes,
} as const;

export type EventType = keyof typeof eventTypes;

export const eventTypeNames = Object.keys(eventTypes) as [EventType, ...EventType[]];

/** The types that end a task. */
const endingTypes = ['task.completed', 'task.failed', 'task.canceled'] as const satisfies readonly EventType[];

/** What an endpoint is told that names no types. Jobs are told of only where somebody watches them. */
export const usualTypes = [
  ...endingTypes,
  'job.ended',
  'job.diagnosed',
  'job.lost',
] as const satisfies readonly EventType[];

export function isEnding(type: string): boolean {
  return (endingTypes as readonly string[]).includes(type);
}

/** An event of an owner. */
export type OwnerEvent = TaskEvent | JobEvent | EndpointEvent;

/** The task, watch or webhook whose event it is; the event's number counts within it. */
export function subjectOf(event: OwnerEvent): string {
  if ('taskId' in event) return event.taskId;
  return 'watchId' in event ? event.watchId : event.webhookId;
}

/** An event as it is told: thin, with the address of the task, which tells the rest. */
const eventView = z.object({
  type: z.string().describe('What happened; types that are not known are to be ignored'),
  timestamp: z.iso.datetime().describe('When it happened'),
  data: z.object({
    taskId: z.string(),
    sequence: z.int().describe('Counts the events of one task from 1; events may arrive out of order'),
    operation: z.string(),
    system: z.string().nullable(),
    attempt: z.int(),
    step: z.string().nullable().describe('Of a chain: the name of the step'),
    errorCode: z.string().nullable().describe('The code of the error that ended the task'),
    url: z.string().describe('The address of the task'),
  }),
});

export type EventView = z.infer<typeof eventView> | z.infer<typeof jobEventView> | z.infer<typeof endpointEventView>;

/** How events are told, with the name of the schema in the documents, by what comes before the first dot of their type. */
export const eventSchemas = {
  task: { name: 'Event', view: eventView },
  job: { name: 'JobEvent', view: jobEventView },
  webhook: { name: 'WebhookEvent', view: endpointEventView },
} as const;

/** Of an event of that type. */
export function eventSchemaOf(type: EventType): (typeof eventSchemas)[keyof typeof eventSchemas] {
  return eventSchemas[type.split('.')[0] as keyof typeof eventSchemas];
}

/** An event as the store keeps it. */
export interface TaskEvent {
  /** Grows with time within one owner. */
  id: string;
  type: string;
  taskId: string;
  sequence: number;
  /** Milliseconds since the epoch. */
  at: number;
  operation: string;
  system: string | null;
  attempt: number;
  step: string | null;
  errorCode: string | null;
}

const storedFields = z.object({
  type: z.string(),
  task: z.string(),
  sequence: z.coerce.number(),
  at: z.coerce.number(),
  operation: z.string(),
  system: z.string(),
  attempt: z.coerce.number(),
  code: z.string(),
  step: z.string().default(''),
});

/** An event from the fields of its row. Throws a ZodError when they are not an event's. */
export function parseEvent(id: string, fields: Record<string, string>): OwnerEvent {
  if (fields.watch !== undefined) return parseJobEvent(id, fields);
  if (fields.hook !== undefined) return parseEndpointEvent(id, fields);
  const { type, task, sequence, at, operation, system, attempt, code, step } = storedFields.parse(fields);
  return {
    ...{ id, type, taskId: task, sequence, at, operation, attempt },
    system: system === '' ? null : system,
    step: step === '' ? null : step,
    errorCode: code === '' ? null : code,
  };
}

/** `baseUrl` is what comes before the path of the task, watch or webhook, without a trailing slash. */
export function viewEvent(event: OwnerEvent, baseUrl: string): EventView {
  if ('watchId' in event) return viewJobEvent(event, baseUrl);
  if ('webhookId' in event) return viewEndpointEvent(event, baseUrl);
  const { taskId, sequence, operation, system, attempt, step, errorCode } = event;
  const url = `${baseUrl}/tasks/${taskId}`;
  return {
    type: event.type,
    timestamp: new Date(event.at).toISOString(),
    data: { taskId, sequence, operation, system, attempt, step, errorCode, url },
  };
}
