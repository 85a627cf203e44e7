/** Laying a task by: the store's side of it, through `parkScript`. */
import type { Progress } from '../tasks/task.ts';
import { entryName, type TaskTicket } from './queues.ts';
import { promotedOf } from './task-answers.ts';
import type { Refusal, TaskStoreSettings } from './task-store.ts';

/** How a task is laid by; see `Parked` for the places. */
export interface ParkOptions {
  place: 'aside' | 'kept' | 'turn';
  /** Milliseconds since the epoch. */
  notBeforeAt: number;
  /** The worker that laid it by glances at it meanwhile. */
  isGlancedAt?: boolean;
  journal?: Record<string, unknown>;
  progress?: Progress;
}

export type Parking = { outcome: 'parked'; ticket: TaskTicket | null; promoted: TaskTicket[] } | { outcome: Refusal };

/** Of a task that was laid by: its progress is told, a worker has taken it up, or it is to be canceled. */
export type Telling = 'told' | 'taken' | 'canceled';

/** A connection that knows the scripts. */
export interface ParkingRedis {
  gcPark(...args: (string | number)[]): Promise<(string | number)[]>;
  gcTellProgress(...args: (string | number)[]): Promise<string>;
  gcForsaken(...args: (string | number)[]): Promise<number>;
}

/** See `TaskStore.park`. */
export async function parkTask(
  redis: ParkingRedis,
  { keyPrefix, admittedPerUserMax }: TaskStoreSettings,
  {
    id,
    fence,
    place,
    notBeforeAt,
    isGlancedAt = false,
    journal,
    progress,
  }: ParkOptions & { id: string; fence: number },
): Promise<Parking> {
  // With its place it stays active, and what comes for it takes it over; else it is pending and claimed anew.
  const state = place === 'kept' ? 'active' : 'pending';
  const ticket: TaskTicket = {
    id,
    ...(state === 'active' ? { fence: fence - 1, isTakeOver: true } : { fence }),
    ...{ via: 'park', isMutation: true },
  };
  const fields = [
    ...(journal === undefined ? [] : ['journal', JSON.stringify(journal)]),
    ...(progress === undefined ? [] : ['progress', JSON.stringify(progress)]),
  ];
  const now = Date.now();
  const [outcome, hasTurn, ...flat] = await redis.gcPark(
    ...[`${keyPrefix}:task:${id}`, keyPrefix, id, fence, now, notBeforeAt, place, state, admittedPerUserMax],
    ...[entryName(ticket), isGlancedAt ? 1 : 0, ...fields, 'updatedAt', now],
  );
  if (outcome !== 'ok') return { outcome: outcome as Refusal };
  return { outcome: 'parked', ticket: Number(hasTurn) === 1 ? ticket : null, promoted: promotedOf(flat.map(String)) };
}
