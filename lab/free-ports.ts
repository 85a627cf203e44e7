/**
 * Loopback ports that nobody listens on. They are taken below the range from which the kernel serves outgoing
 * connections, so that a daemon which is stopped and started again finds its port still free.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { LabError } from './lab-error.ts';

const lowestPort = 15_000;
const triesMax = 200;
const startsMax = 4;
/** Ports this process has given out, so that no two of its parts get the same one before they listen. */
const given = new Set<number>();

/** So many different free ports. Another process may still be faster: start daemons through `startOnFreePorts`. */
export async function freePorts(count: number): Promise<number[]> {
  const highest = Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/)[0]);
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries += 1) {
    if (tries > triesMax + count) throw new LabError('PortTaken', `No ${count} free ports found on 127.0.0.1`);
    const port = highest > lowestPort + 1_000 ? randomInt(lowestPort, highest) : randomInt(lowestPort, 60_000);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    ports.push(port);
  }
  return ports;
}

/** The first of so many ports in a row that are free. */
export async function freePortsInRow(count: number): Promise<number> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const [first = 0] = await freePorts(1);
    const others = Array.from({ length: count - 1 }, (_, at) => first + 1 + at);
    if ((await Promise.all(others.map(isFree))).every(Boolean)) return first;
  }
  throw new LabError('PortTaken', `No ${count} free ports in a row found on 127.0.0.1`);
}

/** Calls `start` with free ports, and again with others (4 times at most) when one of them was taken meanwhile. */
export async function startOnFreePorts<T>(count: number, start: (ports: number[]) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await freePorts(count));
    } catch (error) {
      if (!(error instanceof LabError) || error.fault !== 'PortTaken' || attempt === startsMax) throw error;
    }
  }
}

/** The port at this place of a list that came from `freePorts`. */
export function portAt(ports: readonly number[], index: number): number {
  const port = ports[index];
  if (port === undefined) throw new LabError('NotStarted', `No port was reserved at place ${index}`);
  return port;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
