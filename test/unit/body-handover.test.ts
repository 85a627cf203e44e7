/** How an API process hands the body of an upload to a worker, over real sockets: none of it before it is asked for. */
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

/** An attempt that has told where it is; `visited` when the API has come. */
async function attempt() {
  let told: (url: string) => void = () => undefined;
  const url = new Promise<string>((resolve) => {
    told = resolve;
  });
  let came = (): void => undefined;
  const visited = new Promise<void>((resolve) => {
    came = resolve;
  });
  const port: InternalPort = {
    ...internal,
    open: (method, keptMs, serve, onExpired) => {
      const served: typeof serve = (incoming, response) => {
        serve(incoming, response);
        came();
      };
      return internal.open(method, keptMs, served, onExpired);
    },
  };
  const { signal } = new AbortController();
  const meeting = createMeeting({ port, direction: 'in', tell: async (at) => told(at), signal });
  meeting.exchange.announce();
  return { meeting, visited, url: await url };
}

it('an attempt that ends before it takes the body leaves all of it to the next', async () => {
  const first = await attempt();
  const refused = workers.put(first.url);
  expect(() => refused.write(Buffer.from('the '))).toThrow('not asked for');
  await first.visited;
  first.meeting.close();
  expect(await refused.isReady).toBe(false);
  expect(await refused.end()).toBe(false);

  const second = await attempt();
  const intake = workers.put(second.url);
  const received: Buffer[] = [];
  const taken = second.meeting.exchange.receive((chunk) => void received.push(chunk));
  expect(await intake.isReady).toBe(true);
  for (const word of ['the ', '', 'whole']) await intake.write(Buffer.from(word));
  expect(await intake.end()).toBe(true);
  await taken;
  expect(Buffer.concat(received).toString()).toBe('the whole');
  second.meeting.close();
});

it('a worker that is not there, or has no such address, is not ready', async () => {
  expect(await workers.put('http://127.0.0.1:1/once/x').isReady).toBe(false);
  const { meeting, url } = await attempt();
  meeting.close();
  const late = workers.put(url);
  expect(await late.isReady).toBe(false);
  expect(await late.end()).toBe(false);
});
