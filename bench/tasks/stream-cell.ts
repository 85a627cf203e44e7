/** How soon 500 clients with open event streams hear of a step of a task, and that each hears of every one. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { measurementOf } from '../measure.ts';
import { untilEnded } from './ends.ts';
import { callerOf, type Findings, type Ground } from './ground.ts';

export const streamClients = 500;
const tasks = 100;
const betweenTasksMs = 100;
/** Of a task that goes well: accepted, started, completed. */
const eventsPerTask = 3;
const arrivalMsMax = 10_000;
const p99MsMax = 250;

interface Listener {
  /** Milliseconds from an event's time in the store to its arrival. */
  latencies: number[];
  close(): void;
}

/** Reads `id:` lines only: their first number is the time at which the store took the event. */
function listen(url: URL, request: Buffer): Promise<Listener> {
  const latencies: number[] = [];
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    let tail = '';
    let hasBegun = false;
    socket.on('error', reject);
    socket.on('connect', () => socket.write(request));
    socket.on('data', (chunk) => {
      const now = Date.now();
      const text = tail + chunk.toString('latin1');
      const end = text.lastIndexOf('\n') + 1;
      tail = text.slice(end);
      for (const [, at] of text.slice(0, end).matchAll(/^id: (\d+)-\d+$/gm)) latencies.push(now - Number(at));
      // `retry:` is the first line of a stream that is in place.
      if (hasBegun || !text.includes('retry: ')) return;
      hasBegun = true;
      resolve({ latencies, close: () => socket.destroy() });
    });
  });
}

export async function measureStreams(ground: Ground): Promise<Findings> {
  const { alice, broker, statOf } = ground;
  const open = alice.request('GET', '/events');
  const listeners = await Promise.all(Array.from({ length: streamClients }, () => listen(new URL(broker.url), open)));
  const single = alice.request('POST', '/tasks', statOf(alice));
  const begin = performance.now();
  const ids: string[] = [];
  for (let n = 0; n < tasks; n += 1) {
    await sleep(Math.max(0, n * betweenTasksMs - (performance.now() - begin)));
    ids.push((JSON.parse(await callerOf(ground, 0).read(single, 202)) as { id: string }).id);
  }
  await untilEnded(ground, ids);
  const expected = streamClients * tasks * eventsPerTask;
  const arrived = (): number => listeners.reduce((sum, { latencies }) => sum + latencies.length, 0);
  for (const until = performance.now() + arrivalMsMax; arrived() < expected && performance.now() < until; ) {
    await sleep(20);
  }
  const measurement = measurementOf(
    listeners.flatMap(({ latencies }) => latencies),
    performance.now() - begin,
  );
  for (const listener of listeners) listener.close();
  const lost = expected - measurement.count;
  return {
    rows: [{ what: 'step of a task → event stream', callers: streamClients, measurement }],
    verdicts: [
      {
        text:
          `${streamClients} event streams: p99 ${measurement.p99} ms from a step to its arrival (under ${p99MsMax}), ` +
          `${measurement.count.toLocaleString('en')} arrivals, ${lost} lost (0)`,
        isMet: measurement.p99 < p99MsMax && lost === 0,
      },
    ],
  };
}
