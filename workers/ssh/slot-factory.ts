/** Makes the channel slots of one user, and the connections they need, one login at a time. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, Slot } from './connection.ts';

/** What generic-pool holds. A failed login is lent too, or the pool would repeat it until its waiters gave up. */
export type Lendable = { readonly slot: Slot } | { readonly failure: unknown };

export interface SlotFactory {
  readonly connections: ReadonlySet<Connection>;
  readonly isOpening: boolean;
  /** Rejects, after a pause, when there is no room now but may be later. */
  create(): Promise<Lendable>;
  destroy(lendable: Lendable): void;
}

/** Pause before another login when one failed while the user has connections that work. */
const retryPauseMs = 250;
/** Pause before looking for room again when no further connection may be made. */
const fullPauseMs = 50;

export function createSlotFactory(connectionsMax: number, openConnection: () => Promise<Connection>): SlotFactory {
  const connections = new Set<Connection>();
  let opening: Promise<void> | undefined;

  function makeSlot(): Slot | undefined {
    for (const connection of connections) {
      if (!connection.hasRoom) continue;
      const slot: Slot = { connection, isParked: false };
      connection.slots.add(slot);
      return slot;
    }
    return undefined;
  }

  async function open(): Promise<void> {
    const connection = await openConnection();
    connections.add(connection);
    void connection.closed.then(() => connections.delete(connection));
  }

  function openOne(): Promise<void> {
    opening ??= open().finally(() => {
      opening = undefined;
    });
    return opening;
  }

  return {
    connections,
    get isOpening() {
      return opening !== undefined;
    },
    async create() {
      for (;;) {
        const slot = makeSlot();
        if (slot) return { slot };
        const usable = [...connections].filter((connection) => connection.isUsable).length;
        if (usable >= connectionsMax) {
          await sleep(fullPauseMs);
          throw new Error('No connection has room'); // generic-pool comes again while somebody waits
        }
        try {
          await openOne();
        } catch (failure) {
          if (usable === 0) return { failure };
          await sleep(retryPauseMs);
          throw failure;
        }
      }
    },
    destroy(lendable) {
      if ('failure' in lendable) return;
      const { connection } = lendable.slot;
      connection.slots.delete(lendable.slot);
      if (connection.slots.size === 0 && connection.isUsable) connection.retire();
    },
  };
}
