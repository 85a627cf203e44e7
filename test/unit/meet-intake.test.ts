/** An upload that is handed to a worker, where the worker that came first says nothing. */
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { meetIntake } from '../../api/faces/firecrest/meet-intake.ts';
import { createWorkerPort } from '../../api/http/worker-port.ts';

const servers: Server[] = [];
const sockets = new Set<Socket>();
const workers = createWorkerPort();

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

async function listen(server: Server): Promise<string> {
  server.on('connection', (socket: Socket) => sockets.add(socket));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
}

/** As a process that was stopped: the kernel takes the connection, and nobody reads it. `asked`: a request has come. */
async function hungWorker(): Promise<{ url: string; asked: Promise<void>; left: Promise<void> }> {
  let tellAsked = (): void => {};
  let tellLeft = (): void => {};
  const asked = new Promise<void>((resolve) => {
    tellAsked = resolve;
  });
  const left = new Promise<void>((resolve) => {
    tellLeft = resolve;
  });
  const url = await listen(
    createTcpServer((socket) => {
      socket.once('data', tellAsked);
      socket.on('error', () => undefined);
      socket.once('close', tellLeft);
    }),
  );
  return { url, asked, left };
}

it('goes to the worker of the next attempt, with its bytes whole', async () => {
  const hung = await hungWorker();
  const takes = await listen(
    createServer((request, response) => {
      request.resume().on('end', () => response.writeHead(204).end());
    }),
  );
  let next: (url: string) => void = () => {};
  const offers = [
    Promise.resolve(hung.url),
    new Promise<string>((resolve) => (next = resolve)),
    new Promise<null>(() => {}),
  ];
  const meeting = meetIntake(workers, { nextOffer: async () => (await offers.shift()) ?? null });
  await hung.asked;
  next(takes);
  const intake = await meeting;
  await hung.left;
  await intake?.write(Buffer.from('bytes'));
  expect(await intake?.end()).toBe(true);
});

it('is given up when the task has ended or the client is gone', async () => {
  const hung = await hungWorker();
  let end: (none: null) => void = () => {};
  const offers = [Promise.resolve(hung.url), new Promise<null>((resolve) => (end = resolve))];
  const meeting = meetIntake(workers, { nextOffer: async () => (await offers.shift()) ?? null });
  await hung.asked;
  end(null);
  expect(await meeting).toBeNull();
  await hung.left;
});
