/**
 * A TCP proxy that gives each connection, or all of them together, at most so many bytes a second in each direction: a link
 * that is slow, not broken.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface SlowLink {
  /** Base address of what is behind it. */
  readonly url: string;
  /** Bytes that came from what is behind it so far, and that went there; heads of messages are in them. */
  readonly bytesOut: number;
  readonly bytesIn: number;
  /** Bytes a second from now on, for connections that are open too. `Infinity`: as fast as it goes. */
  setRate(bytesPerSecond: number): void;
  close(): Promise<void>;
}

/** A chunk that would take longer waits in slices, so that a new rate is felt soon. */
const sliceMs = 50;

/** Resolves when so many bytes more have had their time. */
type Pace = (bytes: number) => Promise<void>;

/** Being late is made up for, within bounds: a busy machine is not to make the link slower than it says. */
function createPace(rateNow: () => number): Pace {
  let dueAt = performance.now();
  return async (bytes) => {
    dueAt = Math.max(dueAt, performance.now() - sliceMs) + (bytes / rateNow()) * 1_000;
    const waitMs = dueAt - performance.now();
    if (waitMs >= 1) await sleep(waitMs);
  };
}

/** Listens on a free port of the loopback and passes on to `target`, a base address. `isShared`: the rate is that of all connections together. */
export async function openSlowLink(
  target: string,
  bytesPerSecond: number,
  { isShared = false }: { isShared?: boolean } = {},
): Promise<SlowLink> {
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  let rate = bytesPerSecond;
  let [bytesOut, bytesIn] = [0, 0];
  const shared = { in: createPace(() => rate), out: createPace(() => rate) };
  const paceOf = (way: 'in' | 'out'): Pace => (isShared ? shared[way] : createPace(() => rate));
  const track = (socket: Socket): Socket => {
    open.add(socket);
    socket.on('error', () => undefined); // its close follows
    socket.once('close', () => open.delete(socket));
    return socket;
  };
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) track(socket).setNoDelay(true);
    const onIn = (bytes: number): void => {
      bytesIn += bytes;
    };
    const onOut = (bytes: number): void => {
      bytesOut += bytes;
    };
    void pass(near, far, { pace: paceOf('in'), rateNow: () => rate, count: onIn });
    void pass(far, near, { pace: paceOf('out'), rateNow: () => rate, count: onOut });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    get bytesOut() {
      return bytesOut;
    },
    get bytesIn() {
      return bytesIn;
    },
    setRate(next) {
      rate = next;
    },
    close() {
      for (const socket of open) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Passing {
  pace: Pace;
  rateNow: () => number;
  count: (bytes: number) => void;
}

async function pass(from: Socket, to: Socket, { pace, rateNow, count }: Passing): Promise<void> {
  try {
    for await (const chunk of from) {
      let left = (chunk as Buffer).length;
      while (left > 0) {
        const slice = Math.min(left, Math.max(1, (rateNow() * sliceMs) / 1_000));
        left -= slice;
        await pace(slice);
        count(slice);
      }
      if (!to.write(chunk)) await writable(to);
    }
    to.end();
  } catch {
    to.destroy(); // as the other side did
  }
}

/** Resolves when there is room again, or none will ever be. */
function writable(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}
