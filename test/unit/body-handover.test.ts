/** How an API process hands the body of an upload to a worker, over real sockets: none of it before it is asked for. */
import { once } from 'node:events';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createWorkerPort, type WorkerPort } from '../../api/http/worker-port.ts';
import { type InternalPort, openInternalPort } from '../../workers/runtime/internal-port.ts';
import { createMeeting } from '../../workers/runtime/meet-request.ts';

let internal: InternalPort;
let workers: WorkerPort;

beforeAll(async () => {
  internal = await openInternalPort({ host: '127.0.0.1', port: 0, url: null, log: pino({ level: 'silent' }) });
  workers = createWorkerPort();
});

afterAll(async () => {
  workers.close();
  await internal.close();
});

/** An attempt that has told where it is. */
async function attempt() {
  let told: (url: string) => void = () => undefined;
  const url = new Promise<string>((resolve) => {
    told = resolve;
  });
  const { signal } = new AbortController();
  const meeting = createMeeting({ port: internal, direction: 'in', tell: async (at) => told(at), signal });
  meeting.exchange.announce();
  return { meeting, url: await url };
}

it('an attempt that ends before it takes the body leaves all of it to the next', async () => {
  const first = await attempt();
  const refused = workers.put(first.url);
  refused.body.write('the '); // what is written before it is asked for goes nowhere
  await once(refused.body, 'socket');
  first.meeting.close();
  expect(await refused.isReady).toBe(false);

  const second = await attempt();
  const intake = workers.put(second.url);
  const received: Buffer[] = [];
  const taken = second.meeting.exchange.receive((chunk) => void received.push(chunk));
  expect(await intake.isReady).toBe(true);
  intake.body.write('the ');
  intake.body.end('whole');
  await taken;
  expect((await intake.answer).statusCode).toBe(204);
  expect(Buffer.concat(received).toString()).toBe('the whole');
  second.meeting.close();
});

it('a worker that is not there, or has no such address, is not ready', async () => {
  expect(await workers.put('http://127.0.0.1:1/once/x').isReady).toBe(false);
  const { meeting, url } = await attempt();
  meeting.close();
  const late = workers.put(url);
  expect(await late.isReady).toBe(false);
  expect((await late.answer).statusCode).toBe(404);
  late.body.destroy();
});
