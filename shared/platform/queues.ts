/** The queues: one a (lane, system), and one a lane for operations that run on no system. An entry holds ids only. */
import { setImmediate as endOfTurn } from 'node:timers/promises';
import { Queue } from 'bullmq';
import type { Lane } from '../operations/lanes.ts';
import type { Redis } from './redis.ts';

/** A task as a queue entry names it. `fence` is the task's when the entry was added; a task that moved on ignores it. */
export interface TaskTicket {
  id: string;
  fence: number;
  /** Set by the sweeper: the entry that carried the task before is gone. */
  isTakeOver?: boolean;
  /** Said of a mutation, which a worker claims before it looks at it. */
  isMutation?: boolean;
  /** Why it is added again under the same fence; each reason has an entry name of its own, so that none hides another. */
  via?: 'promotion' | 'sweep' | 'stop' | 'park' | 'wake';
}

/** What a queue entry holds: the tasks that were added within one turn of the event loop. */
export interface QueueEntry {
  tasks: TaskTicket[];
}

/** Most tasks in one entry. Under load an entry carries many, which is what makes the queue cheap; alone it carries one. */
export const ticketsPerEntryMax = 16;

/** Name of the queue of a lane on a system; null: operations about the broker itself. */
export function queueName(lane: Lane, system: string | null): string {
  return system === null ? lane : `${lane}@${system}`;
}

/** The lane of a queue. */
export function laneOf(queue: string): Lane {
  return queue.split('@', 1)[0] as Lane;
}

/** Prefix of BullMQ's keys. */
export function queuePrefix(keyPrefix: string): string {
  return `${keyPrefix}:q`;
}

/** The key of an entry, as BullMQ makes it. */
export function entryKey(keyPrefix: string, queue: string, entryId: string): string {
  return `${queuePrefix(keyPrefix)}:${queue}:${entryId}`;
}

/** Where a ticket stands, at once, and when that is sure. */
export interface Placement {
  /** Id of the queue entry. */
  entryId: string;
  /** Resolves when Redis has the entry. */
  done: Promise<void>;
}

/** Adds tasks to queues, opened lazily, over one connection. */
export interface QueueAdder {
  /**
   * Puts a task into the entry that this turn of the event loop fills. The entry is sent at the end of the turn, so a
   * command that the caller issues on the same connection in this turn comes before it.
   */
  add(queue: string, ticket: TaskTicket, delayMs?: number): Placement;
  /** Has an entry that was added with a delay taken now. Rejects where it is not delayed any more. */
  hurry(queue: string, entryId: string): Promise<void>;
  /** Whether an entry is known to the queue, waiting, delayed or active. */
  has(queue: string, entryId: string): Promise<boolean>;
  close(): Promise<void>;
}

const entryOptions = { attempts: 1, removeOnComplete: true, removeOnFail: true } as const;

const viaLetters = { promotion: '.p', sweep: '.s', stop: '.h', park: '.w', wake: '.k' } as const;

/**
 * Name of the entry that begins with a ticket. BullMQ drops an entry whose name it knows already, also while it is active:
 * the next look at a parked task is added while the entry of this one, whose claim raised the fence, is still open.
 */
export function entryName({ id, fence, via, isTakeOver }: TaskTicket): string {
  return `${id}.${fence}${via === undefined ? '' : viaLetters[via]}${isTakeOver ? 't' : ''}`;
}

/** An entry being filled. */
interface Filling {
  entryId: string;
  tickets: TaskTicket[];
  delayMs: number;
  done: Promise<void>;
}

/** Sends something about an entry before the entry itself, in the same turn on the same connection. Never throws. */
export type EntrySender = (queue: string, entry: { entryId: string; data: QueueEntry; options: object }) => void;

/**
 * An adder over one connection, which stays the caller's to close. `sendFirst` is told of every entry that is to be taken at
 * once; where it makes the entry, BullMQ adds none.
 */
export function createQueueAdder(redis: Redis, keyPrefix: string, sendFirst?: EntrySender): QueueAdder {
  const queues = new Map<string, Queue<QueueEntry>>();
  const filling = new Map<string, Filling>();

  const open = (name: string): Queue<QueueEntry> => {
    const known = queues.get(name);
    if (known) return known;
    const queue = new Queue<QueueEntry>(name, {
      connection: redis,
      prefix: queuePrefix(keyPrefix),
      skipWaitingForReady: true,
      // BullMQ asks for the version once and keeps a failure for ever: a queue opened in an outage would never work.
      skipVersionCheck: true,
      // Nobody reads BullMQ's event stream; the task record is the history.
      streams: { events: { maxLen: 100 } },
    });
    queue.on('error', () => {}); // the connection logs its own outages
    queues.set(name, queue);
    return queue;
  };

  const begin = (queue: string, ticket: TaskTicket, delayMs: number, slot: string): Filling => {
    const entry: Filling = {
      entryId: entryName(ticket),
      tickets: [],
      delayMs,
      done: Promise.resolve(),
    };
    entry.done = endOfTurn().then(async () => {
      if (filling.get(slot) === entry) filling.delete(slot);
      const options = { ...entryOptions, jobId: entry.entryId, ...(delayMs > 0 ? { delay: delayMs } : {}) };
      const data = { tasks: entry.tickets };
      if (delayMs === 0) sendFirst?.(queue, { entryId: entry.entryId, data, options });
      await open(queue).add('tasks', data, options);
    });
    filling.set(slot, entry);
    return entry;
  };

  return {
    add(queue, ticket, delayMs = 0) {
      const slot = `${queue} ${delayMs}`;
      const current = filling.get(slot);
      const entry =
        current && current.tickets.length < ticketsPerEntryMax ? current : begin(queue, ticket, delayMs, slot);
      entry.tickets.push(ticket);
      return { entryId: entry.entryId, done: entry.done };
    },
    hurry: (queue, entryId) => open(queue).backend.promote(entryId),
    async has(queue, entryId) {
      return (await open(queue).getJob(entryId)) !== undefined;
    },
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}
