/** All connections of this worker to one system, and the channels opened on them. */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ClientChannel } from 'ssh2';
import { BrokerError, toBrokerError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import { Connection, type Slot } from './connection.ts';
import { createConnectionPlaces } from './connection-places.ts';
import type { CredentialProvider } from './credentials/credential-provider.ts';
import { type LoginRoute, logIn } from './log-in.ts';
import { type ChannelExit, type ChannelPurpose, openChannelOn } from './open-channel.ts';
import { createUserSlots, noChannel, type UserSlotBounds, type UserSlots } from './user-slots.ts';

export interface ConnectionPoolOptions {
  readonly system: string;
  readonly route: LoginRoute;
  readonly bounds: UserSlotBounds;
  /** Connections of all users together. */
  readonly connectionsMax: number;
  readonly credentials: CredentialProvider;
  readonly log: Logger;
}

/** An open channel and its place in the pool. */
export interface LentChannel {
  readonly stream: ClientChannel;
  readonly connection: Connection;
  /** How the remote process ended, once the server has said so. */
  exit(): ChannelExit | undefined;
  /** A warm channel says whether it has something to do; a parked one may be asked to close at any time. */
  park(isParked: boolean): void;
  /** Gives the slot back. `stuck`: the remote end may live on, so the place is not counted as free. Idempotent. */
  release(end?: 'done' | 'stuck'): void;
}

/** Counters since start, and of now. */
export interface PoolStats {
  readonly connectionsOpen: number;
  readonly connectionsIdle: number;
  readonly users: number;
  readonly slotsInUse: number;
  readonly slotsWaiting: number;
  readonly connectionsOpened: number;
  /** Connections that could not be opened, by error code. */
  readonly failures: ReadonlyMap<string, number>;
  readonly channelsRefused: number;
}

export interface ConnectionPool {
  /**
   * Opens a channel for a user, waiting for a slot and a connection as needed. Throws SshNoChannel, SshUnavailable
   * (detail `sent`), SshCredentialsRefused, HostKeyMismatch, ShuttingDown, or the reason of `signal`.
   */
  open(username: string, purpose: ChannelPurpose, signal?: AbortSignal): Promise<LentChannel>;
  /** Whether a user's channel would be opened at once, on a connection that is up, and leave enough for others. */
  hasSpare(username: string): boolean;
  stats(): PoolStats;
  /** No new channels; waits up to `drainMs` for those in use, then closes every connection. Idempotent. */
  close(drainMs?: number): Promise<void>;
}

export function createConnectionPool(options: ConnectionPoolOptions): ConnectionPool {
  const users = new Map<string, UserSlots>();
  const connections = new Set<Connection>();
  const places = createConnectionPlaces(options.connectionsMax, connections);
  const failures = new Map<ErrorCode, number>();
  const counters = { connectionsOpened: 0, failures, channelsRefused: 0 };
  const closing = new AbortController();
  setMaxListeners(0, closing.signal);

  async function openConnection(username: string): Promise<Connection> {
    await places.take(options.bounds.slotWaitMs);
    try {
      const credential = await options.credentials.credentialFor(options.system, username);
      const client = await logIn(options.route, username, credential, closing.signal);
      const max = options.bounds.channelsPerConnectionMax;
      const connection = new Connection(username, client, max, credential.expiresAt);
      counters.connectionsOpened += 1;
      connections.add(connection);
      options.log.debug({ username, credential: credential.id }, 'SSH connection opened');
      void connection.closed.then(() => {
        connections.delete(connection);
        places.free();
        setImmediate(forgetIfUnused, username); // once the user's slots know of it too
      });
      return connection;
    } catch (error) {
      const { code } = toBrokerError(error);
      failures.set(code, (failures.get(code) ?? 0) + 1);
      places.free();
      options.log.warn({ username, err: error }, 'SSH connection failed');
      throw error;
    }
  }

  function slotsOf(username: string): UserSlots {
    const known = users.get(username);
    if (known) return known;
    const slots = createUserSlots(options.bounds, () => openConnection(username));
    users.set(username, slots);
    return slots;
  }

  function forgetIfUnused(username: string): void {
    const slots = users.get(username);
    if (!slots?.isUnused) return;
    users.delete(username);
    void slots.close();
  }

  async function open(username: string, purpose: ChannelPurpose, signal?: AbortSignal): Promise<LentChannel> {
    const deadline = Date.now() + options.bounds.slotWaitMs;
    for (let attempt = 0; ; attempt += 1) {
      if (closing.signal.aborted) throw closing.signal.reason;
      const slots = slotsOf(username);
      const slot = await lend(username, slots, signal);
      const result = await openChannelOn(slot.connection, purpose);
      if ('stream' in result) return lentChannel(slots, slot, result);
      if (result.outcome === 'refused') {
        counters.channelsRefused += 1;
        slot.connection.noteRefusal();
      }
      slots.giveBack(slot);
      if (result.outcome === 'failed') throw result.error;
      if (Date.now() >= deadline) throw noChannel(result.error.message, result.error);
      // The server frees a place a little later than it tells us, so a refusal is worth waiting out.
      if (result.outcome === 'refused') await sleep(Math.min(250, 15 * (attempt + 1)) * (0.5 + Math.random()));
    }
  }

  async function lend(username: string, slots: UserSlots, signal?: AbortSignal): Promise<Slot> {
    try {
      return await slots.lend(signal);
    } catch (error) {
      forgetIfUnused(username);
      throw error;
    }
  }

  return {
    open,
    hasSpare: (username) => !closing.signal.aborted && users.get(username)?.hasSpare === true,
    stats: () => ({ ...counters, ...countNow(connections, users) }),
    async close(drainMs = 10_000) {
      if (closing.signal.aborted) return;
      closing.abort(new BrokerError('ShuttingDown', 'The worker is shutting down.'));
      const open = [...connections];
      for (const connection of open) connection.retire();
      await withinTime(Promise.all(open.map((connection) => connection.closed)), drainMs);
      for (const connection of connections) connection.client.destroy();
      await Promise.all([...connections].map((connection) => connection.closed));
      await withinTime(Promise.all([...users.values()].map((slots) => slots.close())), 1_000);
      users.clear();
    },
  };
}

function lentChannel(slots: UserSlots, slot: Slot, opened: Pick<LentChannel, 'stream' | 'exit'>): LentChannel {
  const { connection } = slot;
  let isReleased = false;
  return {
    stream: opened.stream,
    exit: opened.exit,
    connection,
    park(isParked) {
      slot.isParked = isParked;
      connection.lastUsedAt = Date.now();
    },
    release(end = 'done') {
      if (isReleased) return;
      isReleased = true;
      if (end === 'stuck') connection.noteStuck();
      slots.giveBack(slot);
    },
  };
}

function countNow(connections: ReadonlySet<Connection>, users: ReadonlyMap<string, UserSlots>) {
  const all = [...connections];
  return {
    connectionsOpen: all.length,
    connectionsIdle: all.filter((connection) => connection.isIdle).length,
    users: users.size,
    slotsInUse: all.reduce((sum, connection) => sum + connection.lent.size, 0),
    slotsWaiting: [...users.values()].reduce((sum, slots) => sum + slots.waiting, 0),
  };
}

async function withinTime(work: Promise<unknown>, waitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => {
    timer = setTimeout(resolve, waitMs);
  });
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
