/**
 * Hands the events of owners to the streams that are open in this process. An owner is listened to only while one of
 * its streams is open here, and is read once for all of them: a wake-up says that there is something, the store what.
 */
import type { Logger } from 'pino';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { wakeChannel } from '../../shared/platform/event-script.ts';
import { compareEventIds, type EventStore } from '../../shared/platform/event-store.ts';
import type { Redis } from '../../shared/platform/redis.ts';
import type { OwnerEvent } from '../../shared/tasks/event.ts';

/** Who reads a stream. */
export interface EventReader {
  /** Called for each event, in order. */
  receive(event: OwnerEvent): void;
  /** Resolves when more may be given; a replay is not faster than its reader. */
  hasRoom(): Promise<void>;
  /** The process stops. */
  stop(): void;
}

export interface EventHub {
  /**
   * Gives the reader every event after `after` (null: after now), without a gap and in order, until `signal` aborts.
   * Resolves when nothing new is missed any more; TooManyStreams, StoreUnavailable. `replayed` resolves when what was
   * kept has been given, by the pace of the reader.
   */
  follow(
    owner: string,
    after: string | null,
    reader: EventReader,
    signal: AbortSignal,
  ): Promise<{ replayed: Promise<void> }>;
  /** Streams open now. */
  size(): number;
  /** Tells every reader to stop. */
  close(): void;
}

export interface EventHubOptions {
  keyPrefix: string;
  /** Streams of one owner in this process. */
  streamsPerUserMax: number;
  log: Logger;
}

/** Streams of all owners in one process. */
const streamsMax = 20_000;
/** Events of one read. */
const pageSize = 500;
/** A wake-up can be lost; each owner that is listened to is looked at so often all the same. */
const lookIntervalMs = 5_000;

interface Follower {
  reader: EventReader;
  /** The last event it was given. */
  position: string;
  isReplaying: boolean;
}

interface Channel {
  owner: string;
  followers: Set<Follower>;
  /** The last event that was given to all. */
  position: string;
  /** Resolves when its wake-ups are heard. */
  ready: Promise<void>;
  isReading: boolean;
  isStale: boolean;
}

/** `subscriber` is a connection of the hub's own, which stays the caller's to close. */
export function createEventHub(subscriber: Redis, store: EventStore, options: EventHubOptions): EventHub {
  const channels = new Map<string, Channel>();
  let count = 0;

  /** Reads what is new and gives it to all who are not replaying; one read at a time. */
  const advance = async (channel: Channel): Promise<void> => {
    channel.isStale = true;
    if (channel.isReading) return;
    channel.isReading = true;
    try {
      while (channel.isStale && channel.followers.size > 0) {
        channel.isStale = false;
        const events = await store.read(channel.owner, channel.position, pageSize);
        if (events.length === pageSize) channel.isStale = true;
        for (const event of events) {
          channel.position = event.id;
          for (const follower of channel.followers) if (!follower.isReplaying) give(follower, event);
        }
      }
    } finally {
      channel.isReading = false;
    }
  };
  const wake = (channel: Channel): void => {
    advance(channel).catch((error: unknown) => options.log.debug({ err: error }, 'events could not be read'));
  };

  const byName = new Map<string, Channel>();
  subscriber.on('message', (name: string) => {
    const channel = byName.get(name);
    if (channel !== undefined) wake(channel);
  });
  const timer = setInterval(() => {
    for (const channel of channels.values()) wake(channel);
  }, lookIntervalMs);
  timer.unref();

  const open = (owner: string): Channel => {
    const known = channels.get(owner);
    if (known !== undefined) return known;
    const name = wakeChannel(options.keyPrefix, owner);
    const channel: Channel = {
      ...{ owner, followers: new Set<Follower>(), position: '0-0', isReading: false, isStale: false },
      ready: Promise.resolve(),
    };
    channel.ready = (async () => {
      await subscriber.subscribe(name);
      channel.position = await store.lastId(owner);
    })();
    channels.set(owner, channel);
    byName.set(name, channel);
    return channel;
  };

  const leave = (channel: Channel, follower: Follower): void => {
    if (!channel.followers.delete(follower)) return;
    count -= 1;
    if (channel.followers.size > 0) return;
    const name = wakeChannel(options.keyPrefix, channel.owner);
    channels.delete(channel.owner);
    byName.delete(name);
    subscriber.unsubscribe(name).catch(() => undefined);
  };

  return {
    async follow(owner, after, reader, signal) {
      const channel = open(owner);
      if (channel.followers.size >= options.streamsPerUserMax || count >= streamsMax) throw tooMany(options, count);
      const follower: Follower = { reader, position: after ?? '0-0', isReplaying: true };
      channel.followers.add(follower);
      count += 1;
      signal.addEventListener('abort', () => leave(channel, follower), { once: true });
      if (signal.aborted) leave(channel, follower);
      try {
        await channel.ready;
        follower.position = after ?? channel.position;
        return { replayed: replay(store, channel, follower, signal) };
      } catch (error) {
        leave(channel, follower);
        throw error;
      }
    },
    size: () => count,
    close() {
      clearInterval(timer);
      for (const { followers } of channels.values()) for (const { reader } of followers) reader.stop();
    },
  };
}

function tooMany({ streamsPerUserMax }: EventHubOptions, count: number): BrokerError {
  const quota = count >= streamsMax ? streamsMax : streamsPerUserMax;
  const whose = count >= streamsMax ? 'This process serves' : 'You have';
  return new BrokerError('TooManyStreams', `${whose} ${quota} open event streams, the bound.`, {
    ...{ retryAfterSeconds: 5, quota },
  });
}

/** An event that is known already, from a replay or a look that overlapped, is not given twice. */
function give(follower: Follower, event: OwnerEvent): void {
  if (compareEventIds(event.id, follower.position) <= 0) return;
  follower.position = event.id;
  follower.reader.receive(event);
}

/** Gives what is kept, page by page, until there is nothing that the channel has given to others meanwhile. */
async function replay(store: EventStore, channel: Channel, follower: Follower, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const isBehind = compareEventIds(follower.position, channel.position) < 0;
    if (!isBehind) break;
    await follower.reader.hasRoom();
    const events = await store.read(channel.owner, follower.position, pageSize);
    for (const event of events) give(follower, event);
    // What the channel has given to others was dropped by its bound before it could be read here.
    if (events.length === 0) follower.position = channel.position;
  }
  follower.isReplaying = false;
}
