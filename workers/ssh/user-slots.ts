/** The channel slots of one user on one system, lent by generic-pool; connections are made when slots run out. */
import { createPool, type Options as PoolOptions } from 'generic-pool';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Connection, Slot } from './connection.ts';
import { createSlotFactory, type Lendable } from './slot-factory.ts';

/** The bounds of one user. */
export interface UserSlotBounds {
  readonly channelsPerConnectionMax: number;
  readonly connectionsMax: number;
  readonly slotWaitMs: number;
  readonly slotWaitersMax: number;
  readonly idleTimeoutMs: number;
  /** Longest a connection can take to come up; a first request waits for that on top of slotWaitMs. */
  readonly openTimeoutMs: number;
}

export interface UserSlots {
  /**
   * Lends a slot. Throws SshNoChannel when none came free in time or too many wait, the error of a failed login when
   * the user has no connection, and the reason of `signal` when that aborts.
   */
  lend(signal?: AbortSignal): Promise<Slot>;
  giveBack(slot: Slot): void;
  readonly connections: ReadonlySet<Connection>;
  readonly waiting: number;
  /** Whether one more channel can be opened at once and nobody would miss it. */
  readonly hasSpare: boolean;
  /** Nobody holds or waits for a slot, and no connection is up or coming. */
  readonly isUnused: boolean;
  close(): Promise<void>;
}

/** A user with fewer has none to spare: files, stats and commands need them. */
const ampleSlots = 8;

export function createUserSlots(bounds: UserSlotBounds, openConnection: () => Promise<Connection>): UserSlots {
  const factory = createSlotFactory(bounds.connectionsMax, openConnection);
  const { connections } = factory;
  const lendables = new WeakMap<Slot, Lendable>();
  const pool = createPool<Lendable>(
    {
      create: () => factory.create(),
      destroy: async (lendable) => factory.destroy(lendable),
      validate: async (lendable) => 'failure' in lendable || lendable.slot.connection.mayLend,
    },
    poolOptions(bounds),
  );
  const slotsMax = bounds.channelsPerConnectionMax * bounds.connectionsMax;
  pool.on('factoryCreateError', () => undefined); // each waiter learns of it by its own deadline

  function settle(lendable: Lendable): Slot {
    if ('failure' in lendable) {
      void pool.destroy(lendable);
      throw lendable.failure;
    }
    const { slot } = lendable;
    lendables.set(slot, lendable);
    slot.isParked = false;
    slot.connection.lent.add(slot);
    slot.connection.lastUsedAt = Date.now();
    return slot;
  }

  function giveBack(slot: Slot): void {
    const { connection } = slot;
    const lendable = lendables.get(slot);
    if (!lendable || !connection.lent.delete(slot)) return;
    connection.lastUsedAt = Date.now();
    void (connection.isUsable ? pool.release(lendable) : pool.destroy(lendable));
    if (connection.isRetired) connection.retire();
  }

  return {
    async lend(signal) {
      signal?.throwIfAborted();
      if (pool.pending >= bounds.slotWaitersMax) throw noChannel('too many wait');
      const acquired = Promise.resolve(pool.acquire()).catch((cause: unknown) => {
        throw noChannel('generic-pool', cause);
      });
      return await raceForSlot(acquired.then(settle), giveBack, bounds.slotWaitMs, () => connections.size > 0, signal);
    },
    giveBack,
    connections,
    get waiting() {
      return pool.pending;
    },
    get hasSpare() {
      const isAmple = slotsMax >= ampleSlots && slotsMax - pool.borrowed > 2;
      return isAmple && pool.pending === 0 && [...connections].some((connection) => connection.mayLend);
    },
    get isUnused() {
      return connections.size === 0 && !factory.isOpening && pool.borrowed === 0 && pool.pending === 0;
    },
    async close() {
      await pool.drain();
      await pool.clear();
    },
  };
}

function poolOptions(bounds: UserSlotBounds): PoolOptions {
  const slotsMax = bounds.channelsPerConnectionMax * bounds.connectionsMax;
  return {
    max: slotsMax,
    maxWaitingClients: bounds.slotWaitersMax,
    acquireTimeoutMillis: bounds.slotWaitMs + bounds.openTimeoutMs,
    testOnBorrow: true,
    // Last in, first out: connections that are not needed become idle, and close.
    fifo: false,
    idleTimeoutMillis: bounds.idleTimeoutMs,
    evictionRunIntervalMillis: Math.max(50, Math.min(bounds.idleTimeoutMs / 2, 10_000)),
    numTestsPerEvictionRun: slotsMax,
  };
}

/**
 * The slot, or an error when time is up or `signal` aborts first; a slot that comes too late goes straight back. The
 * time only ends a wait while connections are up: before that, it is the login that takes its time.
 */
function raceForSlot(
  lent: Promise<Slot>,
  giveBack: (slot: Slot) => void,
  waitMs: number,
  mayGiveUp: () => boolean,
  signal?: AbortSignal,
): Promise<Slot> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const finish = (act: () => void) => {
      isOver = true;
      clearInterval(timer);
      signal?.removeEventListener('abort', abort);
      act();
    };
    const abort = () => finish(() => reject(signal?.reason));
    const timer = setInterval(() => {
      if (mayGiveUp()) finish(() => reject(noChannel('no slot in time')));
    }, waitMs);
    signal?.addEventListener('abort', abort, { once: true });
    lent.then(
      (slot) => (isOver ? giveBack(slot) : finish(() => resolve(slot))),
      (error: unknown) => isOver || finish(() => reject(error)),
    );
  });
}

/** All channels of the user are in use. */
export function noChannel(why: string, cause?: unknown): BrokerError {
  return new BrokerError('SshNoChannel', 'Unable to open a new SSH channel.', {
    cause,
    detail: { why, sent: false },
    retryAfterSeconds: 1 + Math.floor(Math.random() * 3),
  });
}
