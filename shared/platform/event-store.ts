/** Reads the events that the task scripts wrote: per owner, oldest first, from any place that is still kept. */
import { type OwnerEvent, parseEvent } from '../tasks/event.ts';
import { eventsKey } from './event-script.ts';
import { type Redis, withStore } from './redis.ts';

/** Each method throws `StoreUnavailable` when Redis cannot serve. */
export interface EventStore {
  /** At most `count` events after `after`. */
  read(owner: string, after: string, count: number): Promise<OwnerEvent[]>;
  /** Id of the last event; `0-0` where there is none. */
  lastId(owner: string): Promise<string>;
  /** Whether events after that id may have been dropped already. */
  isPast(owner: string, id: string): Promise<boolean>;
}

/** Less than 0 where `a` comes before `b`. Ids are `milliseconds-number`. */
export function compareEventIds(a: string, b: string): number {
  const [aMs = '0', aNumber = '0'] = a.split('-');
  const [bMs = '0', bNumber = '0'] = b.split('-');
  return Number(aMs) - Number(bMs) || Number(aNumber) - Number(bNumber);
}

/** A flat list of field, value … as an object. */
export function rowFields(flat: readonly string[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let at = 0; at + 1 < flat.length; at += 2) fields[flat[at] ?? ''] = flat[at + 1] ?? '';
  return fields;
}

/** A store over a connection, which stays the caller's to close. */
export function createEventStore(redis: Redis, keyPrefix: string): EventStore {
  return {
    read: (owner, after, count) =>
      withStore(async () => {
        const rows = await redis.xrange(eventsKey(keyPrefix, owner), `(${after}`, '+', 'COUNT', count);
        return rows.map(([id, flat]) => parseEvent(id, rowFields(flat)));
      }),
    lastId: (owner) =>
      withStore(async () => {
        const [last] = await redis.xrevrange(eventsKey(keyPrefix, owner), '+', '-', 'COUNT', 1);
        return last?.[0] ?? '0-0';
      }),
    isPast: (owner, id) =>
      withStore(async () => {
        const key = eventsKey(keyPrefix, owner);
        const [first] = await redis.xrange(key, '-', '+', 'COUNT', 1);
        if (first === undefined || compareEventIds(id, first[0]) >= 0) return false;
        const facts = (await redis.xinfo('STREAM', key)) as unknown[];
        const fact = (name: string): unknown => facts[facts.indexOf(name) + 1];
        // Redis before 7 does not count what was added: then an id from before the first event is taken for one too old.
        return !facts.includes('entries-added') || fact('entries-added') !== fact('length');
      }),
  };
}
