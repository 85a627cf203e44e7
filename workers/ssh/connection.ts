/** One authenticated connection and the channel slots on it: who holds them, and when it may or must go. */
import type { Client } from 'ssh2';

/** The right to have one channel open on a connection. */
export interface Slot {
  readonly connection: Connection;
  /** A warm channel with nothing to do sets this: it is closed when the place is wanted. */
  isParked: boolean;
}

/** How long a peer may take to close before the socket is destroyed. */
const closeWaitMs = 2_000;
/** For how long a connection whose server refused a channel is not given as many again. */
const refusalMemoryMs = 30_000;

/** Created for a client that is logged in. */
export class Connection {
  readonly username: string;
  readonly client: Client;
  /** Resolves when the connection is gone, for whatever reason. */
  readonly closed: Promise<void>;
  /** Slots made for this connection, lent or not. */
  readonly slots = new Set<Slot>();
  readonly lent = new Set<Slot>();
  isClosed = false;
  isRetired = false;
  lastUsedAt = Date.now();
  /** Channels that the server still counts although we gave them up, such as one hung on a FIFO. */
  private stuck = 0;
  private refusedAbove = Number.POSITIVE_INFINITY;
  private refusedUntil = 0;
  private readonly channelsMax: number;
  private readonly onRetire = new Set<() => void>();

  constructor(username: string, client: Client, channelsMax: number, expiresAt: number | undefined) {
    this.username = username;
    this.client = client;
    this.channelsMax = channelsMax;
    client.setMaxListeners(channelsMax + 10); // each channel that is being opened listens for the end
    const expiry = expiresAt === undefined ? undefined : this.retireAt(expiresAt);
    this.closed = new Promise((resolve) => {
      client.once('close', () => {
        clearTimeout(expiry);
        this.isClosed = true;
        this.retire();
        resolve();
      });
    });
  }

  get isUsable(): boolean {
    return !this.isClosed && !this.isRetired;
  }

  /** Whether one more slot may be made. */
  get hasRoom(): boolean {
    return this.isUsable && this.slots.size < this.channelsNow();
  }

  /** Whether a slot that exists may be lent: the server may have refused that many since. */
  get mayLend(): boolean {
    return this.isUsable && this.lent.size < this.channelsNow();
  }

  /** Nobody uses it; warm channels do not count. */
  get isIdle(): boolean {
    for (const slot of this.lent) if (!slot.isParked) return false;
    return true;
  }

  /** The server refused a channel although it should have had room. */
  noteRefusal(): void {
    this.refusedAbove = Math.max(1, this.lent.size - 1);
    this.refusedUntil = Date.now() + refusalMemoryMs;
  }

  /** A channel was given up whose remote end may live on and count against MaxSessions. */
  noteStuck(): void {
    this.stuck += 1;
    if (this.stuck > 2) this.retire();
  }

  /** Calls back once, when the connection takes no new work. */
  whenRetired(callback: () => void): () => void {
    if (this.isUsable) this.onRetire.add(callback);
    else queueMicrotask(callback);
    return () => this.onRetire.delete(callback);
  }

  /** No new slots; closed as soon as the lent ones are back. */
  retire(): void {
    if (!this.isRetired) {
      this.isRetired = true;
      for (const callback of this.onRetire) callback();
      this.onRetire.clear();
    }
    if (this.lent.size === 0) this.close();
  }

  close(): void {
    if (this.isClosed) return;
    this.isRetired = true;
    this.client.end();
    const timer = setTimeout(() => this.client.destroy(), closeWaitMs);
    this.client.once('close', () => clearTimeout(timer));
  }

  private channelsNow(): number {
    const known = Date.now() < this.refusedUntil ? this.refusedAbove : Number.POSITIVE_INFINITY;
    return Math.max(1, Math.min(this.channelsMax, known) - this.stuck);
  }

  /** A tenth of its life, at most a minute, before the certificate ends: what runs then can still finish. */
  private retireAt(expiresAt: number): NodeJS.Timeout {
    const lifeMs = expiresAt - Date.now();
    const timer = setTimeout(() => this.retire(), Math.min(lifeMs - Math.min(lifeMs / 10, 60_000), 2 ** 31 - 1));
    timer.unref();
    return timer;
  }
}
