/** How soon a receiver has the signed message of a task's end. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { measurementOf } from '../measure.ts';
import { callerOf, type Findings, type Ground } from './ground.ts';

const tasks = 200;
const betweenTasksMs = 50;
const arrivalMsMax = 10_000;
const p50MsMax = 50;

export interface BenchReceiver {
  port: number;
  /** Milliseconds from the end of a task, as its message says, to the arrival of the message. */
  latencies: number[];
  close(): void;
}

export async function startBenchReceiver(): Promise<BenchReceiver> {
  const latencies: number[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    latencies.push(Date.now() - Date.parse((JSON.parse(body) as { timestamp: string }).timestamp));
    response.writeHead(204).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { port: (server.address() as AddressInfo).port, latencies, close };
}

export async function measureWebhooks(ground: Ground, receiver: BenchReceiver): Promise<Findings> {
  const { alice, statOf } = ground;
  const url = `http://127.0.0.1:${receiver.port}/hook`;
  const made = await callerOf(ground, 0).read(alice.request('POST', '/webhooks', { url }), 201);
  const { id } = JSON.parse(made) as { id: string };
  const single = alice.request('POST', '/tasks', statOf(alice));
  const begin = performance.now();
  for (let n = 0; n < tasks; n += 1) {
    await sleep(Math.max(0, n * betweenTasksMs - (performance.now() - begin)));
    await callerOf(ground, 0).call(single, 202);
  }
  for (
    const until = performance.now() + arrivalMsMax;
    receiver.latencies.length < tasks && performance.now() < until;
  ) {
    await sleep(10);
  }
  const measurement = measurementOf(receiver.latencies, performance.now() - begin);
  await callerOf(ground, 0).call(alice.request('DELETE', `/webhooks/${id}`), 204);
  const lost = tasks - measurement.count;
  return {
    rows: [{ what: 'end of a task → webhook received', callers: 1, measurement }],
    verdicts: [
      {
        text: `end of a task → webhook received: p50 ${measurement.p50} ms (under ${p50MsMax}), ${lost} of ${tasks} lost (0)`,
        isMet: measurement.p50 < p50MsMax && lost === 0,
      },
    ],
  };
}
