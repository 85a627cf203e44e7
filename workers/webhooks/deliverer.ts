/**
 * Turns rows of the outbox into deliveries and makes those that are due. Every worker does; a row or a delivery whose
 * worker died comes to another one. Runs beside the queues: a delivery may take days, and no queue entry lives so long.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { outboxKey } from '../../shared/platform/event-script.ts';
import { rowFields } from '../../shared/platform/event-store.ts';
import type { Redis } from '../../shared/platform/redis.ts';
import type { NewDelivery, WebhookStore } from '../../shared/platform/webhook-store.ts';
import { isEnding, parseEvent, subjectOf, viewEvent } from '../../shared/tasks/event.ts';
import { messageIdOf } from '../../shared/webhooks/message.ts';
import { type DeliverDeps, deliver } from './deliver.ts';

export interface DelivererOptions extends DeliverDeps {
  /** A `persist` connection of its own: it waits on it for rows. */
  blocking: Redis;
  redis: Redis;
  keyPrefix: string;
  worker: string;
  /** What comes before the path of a task in links. */
  baseUrl: string;
  atOnceMax: number;
}

export interface Deliverer {
  /** Takes nothing more and resolves when what was taken is done. */
  stop(): Promise<void>;
}

const group = 'deliver';
const rowsAtOnce = 64;
const blockMs = 1_000;
/** A row that a worker took and did not turn into deliveries for so long is another's. */
const rowIdleMs = 15_000;
const pollMs = 500;
/** Beyond the time of one attempt, until a delivery that was taken comes up again. */
const leaseMarginMs = 5_000;

type Row = [id: string, flat: string[]];

/** The deliveries of one row: to each endpoint that asked for its type, and to the address that the task or watch named. */
async function deliveriesOf(store: WebhookStore, baseUrl: string, row: Record<string, string>): Promise<NewDelivery[]> {
  const event = parseEvent(row.event ?? '', row);
  const owner = row.owner ?? '';
  const messageId = messageIdOf(subjectOf(event), event.sequence);
  const common = { messageId, owner, type: event.type, message: JSON.stringify(viewEvent(event, baseUrl)) };
  const wanted = (await store.list(owner)).filter(
    ({ endpoint, state }) => state.disabledAt === null && endpoint.events.includes(event.type),
  );
  const toEndpoint = (id: string): NewDelivery => ({
    ...{ ...common, id: `${id}_${messageId}`, endpoint: id, target: '' },
  });
  const deliveries = wanted.map(({ endpoint: { id } }) => toEndpoint(id));
  if ('webhookId' in event) return [...deliveries, { ...toEndpoint(event.webhookId), isNote: true }];
  // A task's own address hears of its end, a watch's of everything.
  if (!row.webhook || !('watchId' in event || isEnding(event.type))) return deliveries;
  return [...deliveries, { ...common, id: `task_${messageId}`, endpoint: '', target: row.webhook }];
}

/** Makes what is due, many at once; resolves when all that were taken are settled. */
function createPump(options: DelivererOptions) {
  const running = new Set<Promise<void>>();
  return {
    async take(): Promise<void> {
      for (;;) {
        const room = options.atOnceMax - running.size;
        if (room <= 0) return;
        const taken = await options.store.take(room, options.timeoutMs + leaseMarginMs);
        for (const delivery of taken) {
          const run = deliver(options, delivery)
            .catch((error: unknown) =>
              options.log.error({ err: error, delivery: delivery.id }, 'delivery was given up'),
            )
            .finally(() => running.delete(run));
          running.add(run);
        }
        if (taken.length < room) return;
      }
    },
    idle: () => Promise.all(running),
  };
}

export function startDeliverer(options: DelivererOptions): Deliverer {
  const { blocking, redis, keyPrefix, worker, log } = options;
  const stream = outboxKey(keyPrefix);
  const stopped = new AbortController();
  const pump = createPump(options);

  const dispatchRow = async ([id, flat]: Row): Promise<void> => {
    const deliveries = await deliveriesOf(options.store, options.baseUrl, rowFields(flat));
    await options.store.dispatch(deliveries, id);
  };
  const takeRows = async (rows: readonly Row[]): Promise<void> => {
    const outcomes = await Promise.allSettled(rows.map(dispatchRow));
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') log.error({ err: outcome.reason }, 'a row of the outbox was not dispatched');
    }
    await pump.take();
  };

  const isStopped = (): boolean => stopped.signal.aborted;
  const loop = async (work: () => Promise<void>, pauseMs: number): Promise<void> => {
    while (!isStopped()) {
      try {
        await work();
      } catch (error) {
        if (isStopped()) return;
        log.warn({ err: error }, 'webhooks: the store could not be asked');
        await sleep(pollMs, undefined, { signal: stopped.signal }).catch(() => undefined);
      }
      if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  };
  let hasGroup = false;
  /** Of the connection that waits, by which it is woken; null until it is known. */
  let clientId: number | null = null;
  const readRows = async (): Promise<void> => {
    if (!hasGroup) {
      clientId = await blocking.client('ID');
      await blocking.xgroup('CREATE', stream, group, '0', 'MKSTREAM').catch(unlessThere);
      hasGroup = true;
    }
    if (isStopped()) return;
    let answer: [string, Row[]][] | null;
    try {
      answer = (await blocking.xreadgroup(
        ...(['GROUP', group, worker, 'COUNT', rowsAtOnce, 'BLOCK', blockMs, 'STREAMS', stream, '>'] as const),
      )) as [string, Row[]][] | null;
    } catch (error) {
      hasGroup = false; // Redis was emptied, or another one answers
      throw error;
    }
    if (answer?.[0] !== undefined) await takeRows(answer[0][1]);
  };
  const poll = async (): Promise<void> => {
    await pump.take();
    if (!hasGroup) return;
    const [, rows] = (await redis.xautoclaim(stream, group, worker, rowIdleMs, '0', 'COUNT', rowsAtOnce)) as [
      string,
      Row[],
    ];
    if (rows.length > 0) await takeRows(rows);
  };
  const loops = [loop(readRows, 0), loop(poll, pollMs)];
  return {
    async stop() {
      stopped.abort();
      // Woken, not cut off: what Redis has just given to this worker is still told by it. Where that fails, its time ends.
      if (clientId !== null) redis.client('UNBLOCK', clientId).catch(() => undefined);
      await Promise.all(loops);
      await pump.idle();
    },
  };
}

function unlessThere(error: Error): void {
  if (!error.message.startsWith('BUSYGROUP')) throw error;
}
