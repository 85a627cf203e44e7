/** The events of tasks: what an event stream and a webhook say. One schema describes both. */
import { z } from 'zod';

/** Every type of event, and what it means. */
export const eventTypes = {
  'task.accepted': 'A task was accepted and waits for a worker',
  'task.started': 'A worker began an attempt',
  'task.requeued': 'An attempt ended without an outcome; the task waits for another one',
  'task.step_completed': 'A step of a chain ended well; the next one waits for a worker',
  'task.completed': 'The task ended well',
  'task.failed': 'The task ended with an error',
  'task.canceled': 'The task was canceled',
} as const;

export type EventType = keyof typeof eventTypes;

export const eventTypeNames = Object.keys(eventTypes) as [EventType, ...EventType[]];

/** The types that end a task. */
export const endingTypes = ['task.completed', 'task.failed', 'task.canceled'] as const satisfies readonly EventType[];

export function isEnding(type: string): boolean {
  return (endingTypes as readonly string[]).includes(type);
}

/** An event as it is told: thin, with the address of the task, which tells the rest. */
export const eventView = z.object({
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

export type EventView = z.infer<typeof eventView>;

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
export function parseEvent(id: string, fields: Record<string, string>): TaskEvent {
  const { type, task, sequence, at, operation, system, attempt, code, step } = storedFields.parse(fields);
  return {
    ...{ id, type, taskId: task, sequence, at, operation, attempt },
    system: system === '' ? null : system,
    step: step === '' ? null : step,
    errorCode: code === '' ? null : code,
  };
}

/** `baseUrl` is what comes before the path of the task, without a trailing slash. */
export function viewEvent(event: TaskEvent, baseUrl: string): EventView {
  const { taskId, sequence, operation, system, attempt, step, errorCode } = event;
  const url = `${baseUrl}/tasks/${taskId}`;
  return {
    type: event.type,
    timestamp: new Date(event.at).toISOString(),
    data: { taskId, sequence, operation, system, attempt, step, errorCode, url },
  };
}
