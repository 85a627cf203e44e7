/**
 * What waits in Redis, for the metrics: a few counts for each queue of the configuration in one round trip, whatever the number
 * of tasks. What was read is kept for two seconds, so that scrapes by several cost Redis no more.
 */
import { outboxKey } from '../event-script.ts';
import type { QueuePlace } from '../queue-places.ts';
import { entryKey } from '../queues.ts';
import { type Redis, withStore } from '../redis.ts';
import { type ReadAtScrape, type Reading, reading, systemLabel } from './meter.ts';

const keptMs = 2_000;

/** The number that a command answered, as a pipeline of ioredis gives it. */
type Answers = [error: Error | null, answer: unknown][];

/** BullMQ's own names of what an entry may be in. */
const entryStates = { waiting: 'wait', active: 'active', delayed: 'delayed' } as const;

/** Rejects with StoreUnavailable when Redis cannot serve. */
export function readQueues(redis: Redis, keyPrefix: string, places: readonly QueuePlace[]): ReadAtScrape {
  let kept: { until: number; readings: readonly Reading[] } = { until: 0, readings: [] };
  return async () => {
    const now = Date.now();
    if (now < kept.until) return kept.readings;
    const readings = await withStore(() => ask(redis, keyPrefix, places, now));
    kept = { until: now + keptMs, readings };
    return readings;
  };
}

async function ask(redis: Redis, keyPrefix: string, places: readonly QueuePlace[], now: number): Promise<Reading[]> {
  const due = `${keyPrefix}:deliveries-due`;
  const commands = redis.pipeline().xlen(outboxKey(keyPrefix)).zcount(due, '-inf', now).zcount(due, `(${now}`, '+inf');
  for (const { queue } of places) {
    const key = (state: string): string => entryKey(keyPrefix, queue, state);
    commands.zcard(`${keyPrefix}:open:${queue}`).llen(key(entryStates.waiting)).llen(key(entryStates.active));
    commands.zcard(key(entryStates.delayed));
  }
  const answers = ((await commands.exec()) ?? []) as Answers;
  const counts = answers.map(([error, answer]) => {
    if (error !== null) throw error;
    return Number(answer);
  });
  const [event = 0, dueNow = 0, later = 0, ...perQueue] = counts;
  const backlog = { event, due: dueNow, later };
  return [
    ...Object.entries(backlog).map(([state, count]) => reading('goldcrest_webhook_backlog', { state }, count)),
    ...places.flatMap((place, at) => readingsOf(place, perQueue.slice(4 * at, 4 * at + 4))),
  ];
}

function readingsOf(
  { lane, system }: QueuePlace,
  [open = 0, waiting = 0, active = 0, delayed = 0]: number[],
): Reading[] {
  const labels = { lane, system: systemLabel(system) };
  return [
    reading('goldcrest_tasks_open', labels, open),
    ...Object.entries({ waiting, active, delayed }).map(([state, count]) =>
      reading('goldcrest_queue_entries', { ...labels, state }, count),
    ),
  ];
}
