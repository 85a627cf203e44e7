/** A TCP proxy that gives each connection at most so many bytes a second in each direction: a link that is slow, not broken. */
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

/** Listens on a free port of the loopback and passes on to `target`, a base address. */
export async function openSlowLink(target: string, bytesPerSecond: number): Promise<SlowLink> {
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  let rate = bytesPerSecond;
  let [bytesOut, bytesIn] = [0, 0];
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
    void pass(near, far, () => rate, onIn);
    void pass(far, near, () => rate, onOut);
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

async function pass(from: Socket, to: Socket, rateNow: () => number, count: (bytes: number) => void): Promise<void> {
  let dueAt = performance.now();
  try {
    for await (const chunk of from) {
      const bytes = (chunk as Buffer).length;
      // Being late is made up for, within bounds: a busy machine is not to make the link slower than it says.
      dueAt = Math.max(dueAt, performance.now() - sliceMs);
      let left = bytes;
      while (left > 0) {
        const rate = rateNow();
        const slice = Math.min(left, Math.max(1, (rate * sliceMs) / 1_000));
        dueAt += (slice / rate) * 1_000;
        left -= slice;
        const waitMs = dueAt - performance.now();
        if (waitMs >= 1) await sleep(waitMs);
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
