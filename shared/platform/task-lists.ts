/** What can be asked of many tasks at once: an owner's list by the owner's index, and how many are open. */
import type { TaskState } from '../tasks/states.ts';
import { parseTask, summaryFields, type Task } from '../tasks/task.ts';
import { listScript, traitsKey } from './list-script.ts';
import { entryKey } from './queues.ts';
import { type Redis, withStore } from './redis.ts';
import { suspectScript } from './suspect-script.ts';

/** Which of an owner's tasks, newest first. */
export interface TaskFilter {
  /** Where the page before ended. */
  after: ListPlace | null;
  sinceMs: number;
  untilMs: number;
  /** Empty: any. */
  states: readonly TaskState[];
  operation: string;
  system: string;
  tag: string;
  shownMax: number;
}

/** The last task that was looked at. */
export interface ListPlace {
  createdAt: number;
  id: string;
}

export interface TaskPage {
  tasks: Task[];
  /** Null: there are no older ones. */
  next: ListPlace | null;
}

/** Each throws `StoreUnavailable` when Redis cannot serve. */
export interface TaskLists {
  /** One page; its tasks have neither input nor result. At most `lookedAtMax` rows are looked at, so it may be short. */
  list(owner: string, filter: TaskFilter): Promise<TaskPage>;
  /** Open tasks of an owner in each of the queues. */
  countOpen(owner: string, queues: readonly string[]): Promise<number[]>;
  /** Every queue that ever held a task. */
  queueNames(): Promise<string[]>;
  /**
   * Of the open tasks of a queue, oldest first, those that are to be looked after: their entry is gone, their time is over, or
   * they are to be canceled. `looked` counts all that were looked at.
   */
  listSuspects(queue: string, wish: SuspectWish): Promise<{ looked: number; ids: string[] }>;
}

export interface SuspectWish {
  acceptedBefore: number;
  offset: number;
  count: number;
  now: number;
}

/** Index rows that one page looks at, at most, whatever the filter leaves out. */
const lookedAtMax = 1_000;

interface ScriptedRedis {
  gcList(...args: (string | number)[]): Promise<string[]>;
  gcSuspects(...args: (string | number)[]): Promise<[looked: number, ...ids: string[]]>;
}

/** Over a connection, which stays the caller's to close. */
export function createTaskLists(redis: Redis, keyPrefix: string): TaskLists {
  const scripted = redis as unknown as ScriptedRedis;
  redis.defineCommand('gcList', { numberOfKeys: 1, lua: listScript });
  redis.defineCommand('gcSuspects', { numberOfKeys: 1, lua: suspectScript });
  return {
    list: (owner, filter) => withStore(() => listPage(redis, scripted, keyPrefix, owner, filter)),
    countOpen: (owner, queues) =>
      withStore(() =>
        Promise.all(
          queues.map(async (queue) => {
            const counts = await Promise.all([
              redis.scard(`${keyPrefix}:admitted:${queue}:${owner}`),
              redis.zcard(`${keyPrefix}:waiting:${queue}:${owner}`),
              redis.zcard(`${keyPrefix}:later:${queue}:${owner}`),
            ]);
            return counts.reduce((sum, count) => sum + count, 0);
          }),
        ),
      ),
    queueNames: () => withStore(() => redis.smembers(`${keyPrefix}:queues`)),
    listSuspects: (queue, { acceptedBefore, offset, count, now }) =>
      withStore(async () => {
        const entries = entryKey(keyPrefix, queue, '');
        const place = [keyPrefix, queue, entries, acceptedBefore, offset, count, now];
        const [looked, ...ids] = await scripted.gcSuspects(`${keyPrefix}:open:${queue}`, ...place);
        return { looked, ids };
      }),
  };
}

async function listPage(
  redis: Redis,
  scripted: ScriptedRedis,
  keyPrefix: string,
  owner: string,
  filter: TaskFilter,
): Promise<TaskPage> {
  const { after, sinceMs, untilMs, states, operation, system, tag, shownMax } = filter;
  const [createdAt = '', id = '', ...ids] = await scripted.gcList(
    `${keyPrefix}:tasks:${owner}`,
    keyPrefix,
    after?.createdAt ?? '',
    after?.id ?? '',
    sinceMs,
    untilMs,
    shownMax,
    lookedAtMax,
    states.join(','),
    operation,
    system,
    tag,
    traitsKey(keyPrefix, owner),
    Date.now(),
  );
  const rows = await Promise.all(ids.map((shown) => redis.hmget(`${keyPrefix}:task:${shown}`, ...summaryFields)));
  const tasks = rows.flatMap((values) => {
    const known = summaryFields.flatMap((field, n) => {
      const value = values[n];
      return typeof value === 'string' ? [[field, value] as const] : [];
    });
    const fields = Object.fromEntries(known);
    // It may have expired since the script looked.
    return fields.id === undefined ? [] : [parseTask({ ...fields, input: 'null' })];
  });
  return { tasks, next: id === '' ? null : { createdAt: Number(createdAt), id } };
}
