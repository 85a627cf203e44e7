/**
 * What API and workers tell each other about entries that the API takes for a worker: which workers take some, on one channel
 * that every API process hears, and the entries themselves, on a channel of each worker.
 */
import { z } from 'zod';
import { fieldsOf, type Peeked, peekedOf } from './task-answers.ts';
import { type Claimed, claimedOf } from './task-store.ts';

/** Raised when a message changes: a worker is handed nothing by an API of another release that it could not read. */
const format = 1;

/** The channel on which workers tell that they take entries. */
export function takersChannel(keyPrefix: string): string {
  return `${keyPrefix}:takers`;
}

/** The channel of one worker. It sends messages of its own there too, by which it knows that it hears. */
export function handChannel(keyPrefix: string, worker: string): string {
  return `${keyPrefix}:hand:${worker}`;
}

/** A worker that takes entries; of each queue the token of its locks, and with how many active entries, whoever's, it may have no room. */
const takerSchema = z.object({
  format: z.literal(format),
  worker: z.string(),
  lockMs: z.number(),
  queues: z.record(z.string(), z.object({ token: z.string(), activeMax: z.number() })),
});

export type Taker = Omit<z.infer<typeof takerSchema>, 'format'>;

export function takerMessage(taker: Taker): string {
  return JSON.stringify({ format, ...taker });
}

/** Null for a worker of another release, which is handed nothing. */
export function takerOf(message: string): Taker | null {
  return parsed(takerSchema, message);
}

/** An entry that was taken for a worker. */
export interface Handed {
  queue: string;
  entryId: string;
  /** The entry as BullMQ keeps it. */
  entry: Record<string, string>;
  /** Its task, which is alone in it. */
  record: Peeked;
  /** Said of a task that was claimed as well. */
  claimed?: Claimed;
}

const cell = z.union([z.string(), z.number()]);
/** As `handOverScript` makes it. */
const handedSchema = z.tuple([z.string(), z.string(), z.array(z.string()), z.literal([0, 1]), z.array(cell)]);

/** Null where it cannot be read; a record that cannot be throws. */
export function handedOf(message: string): Handed | null {
  const told = parsed(handedSchema, message);
  if (told === null) return null;
  const [queue, entryId, entry, isClaimed, record] = told;
  const handed = { queue, entryId, entry: fieldsOf(entry) };
  if (isClaimed === 1) {
    const claimed = claimedOf('pending', fieldsOf(record.slice(2).map(String)));
    return { ...handed, record: { task: claimed.task, isAdmitted: true }, claimed };
  }
  const peeked = peekedOf(record);
  return peeked && { ...handed, record: peeked };
}

function parsed<T>(schema: z.ZodType<T>, message: string): T | null {
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    return null; // not a message of ours
  }
  return schema.safeParse(value).data ?? null;
}
