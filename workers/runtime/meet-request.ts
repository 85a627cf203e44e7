/** The meeting of one attempt with the request that is held for its task: at an address of the internal port, told to the API. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { freePassed } from '../../shared/platform/free-passed.ts';
import type { ByteExchange } from '../operations/byte-exchange.ts';
import { beforeAbort } from '../ssh/before-abort.ts';
import type { TakeChunk } from '../ssh/open-file.ts';
import type { InternalPort, OpenAddress } from './internal-port.ts';

/** Time that the API has to come. */
const meetMs = 20_000;
/** The address is told again until the API comes: a message that is published while it reconnects is lost. */
const tellAgainMs = 1_500;
/** Longest time without a byte moving. */
const stallMs = 30_000;

interface Visit {
  request: IncomingMessage;
  response: ServerResponse;
}

export interface Meeting {
  exchange: ByteExchange;
  /** Ends what is left of it; a visitor that nobody answered is told that the task's outcome says why. */
  close(): void;
}

export interface MeetingOptions {
  port: InternalPort;
  /** Which way the bytes go, as the operation's contract has it. */
  direction: 'in' | 'out';
  /** Tells the API an address. */
  tell: (url: string) => Promise<unknown>;
  signal: AbortSignal;
}

/** Opens nothing before it is announced or used. */
export function createMeeting({ port, direction, tell, signal }: MeetingOptions): Meeting {
  let visiting: Promise<Visit> | undefined;
  let visit: Visit | undefined;
  let address: OpenAddress | undefined;
  let telling: NodeJS.Timeout | undefined;

  const announce = (): Promise<Visit> => {
    visiting ??= new Promise<Visit>((resolve, reject) => {
      const came = (request: IncomingMessage, response: ServerResponse): void => {
        clearInterval(telling);
        visit = { request, response };
        // No byte of an upload is asked for before its place is known, however long that takes.
        if (direction === 'out') response.once('close', watchForStall(request.socket));
        request.on('error', () => undefined); // told to whoever reads it
        response.on('error', () => undefined);
        resolve(visit);
      };
      const nobody = (): void => {
        clearInterval(telling);
        reject(new BrokerError('TaskCanceled', 'The request that the task was for is gone.'));
      };
      address = port.open(direction === 'in' ? 'PUT' : 'GET', meetMs, came, nobody);
      const { url } = address;
      const tellOnce = (): void => void tell(url).catch(() => undefined); // it is told again
      telling = setInterval(tellOnce, tellAgainMs);
      tellOnce();
    });
    visiting.catch(() => undefined); // told to whoever waits for it
    return visiting;
  };
  const meet = (): Promise<Visit> => beforeAbort(announce(), signal);

  return {
    exchange: {
      announce: () => void announce(),
      async send({ status, headers }, feed) {
        const { response } = await meet();
        response.writeHead(status, headers);
        const { take, release } = gathering(response);
        await breakingOff(response, () => feed(take));
        release();
        await new Promise<void>((resolve, reject) => {
          response.once('close', () => (response.writableFinished ? resolve() : reject(wentAway())));
          response.end(resolve);
        });
      },
      async refuse({ status, headers }) {
        const { response } = await meet();
        response.writeHead(status, headers).end();
      },
      async receive(take) {
        const { request, response } = await meet();
        // Until now nothing of the body was taken, and another attempt could have had all of it.
        if (request.headers.expect !== undefined) response.writeContinue();
        response.once('close', watchForStall(request.socket));
        await breakingOff(response, () => readFrom(request, take));
        response.writeHead(204).end();
      },
    },
    close() {
      clearInterval(telling);
      address?.withdraw();
      if (visit === undefined || visit.response.writableEnded) return;
      if (visit.response.headersSent || direction === 'in') visit.request.destroy();
      else visit.response.writeHead(409).end();
    },
  };
}

async function breakingOff(response: ServerResponse, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    response.destroy();
    throw error;
  }
}

/** Bytes that go out in one write; each write wakes the API, and through it the client. */
const writeBytes = 128 * 1024;
/** What does not come to as much goes out after this. */
const gatherMs = 1;

/** Hands bytes to the request, gathered to few writes; what `take` returns is to be waited for. `release` sends the rest. */
function gathering(response: ServerResponse): { take: TakeChunk; release(): void } {
  let gathered = 0;
  let timer: NodeJS.Timeout | undefined;
  const release = (): void => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    gathered = 0;
    response.uncork();
  };
  const take = (chunk: Buffer): undefined | Promise<void> => {
    if (response.destroyed) throw wentAway(response.socket?.errored ?? undefined);
    if (timer === undefined) {
      response.cork();
      timer = setTimeout(release, gatherMs);
    }
    response.write(chunk);
    freePassed(chunk.length);
    gathered += chunk.length;
    if (gathered < writeBytes) return undefined;
    release();
    return response.writableNeedDrain ? untilDrained(response) : undefined;
  };
  return { take, release };
}

function untilDrained(response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      response.off('drain', settle);
      response.off('close', settle);
      if (response.destroyed) reject(wentAway(response.socket?.errored ?? undefined));
      else resolve();
    };
    response.once('drain', settle);
    response.once('close', settle);
  });
}

async function readFrom(request: IncomingMessage, take: (chunk: Buffer) => undefined | Promise<void>): Promise<void> {
  const chunks = request[Symbol.asyncIterator]();
  for (;;) {
    const next = await chunks.next().catch((cause: unknown) => {
      throw wentAway(request.socket.errored ?? cause);
    });
    if (next.done === true) break;
    const chunk = next.value as Buffer;
    const taking = take(chunk);
    freePassed(chunk.length);
    if (taking) await taking;
  }
  if (!request.complete) throw wentAway();
}

/** The connection may serve another request afterwards, hence the way to stop. */
function watchForStall(socket: Socket): () => void {
  const stalled = (): void => {
    socket.destroy(new BrokerError('TransferBroken', `No byte moved for ${stallMs / 1_000} s.`));
  };
  socket.setTimeout(stallMs);
  socket.on('timeout', stalled);
  return () => {
    socket.off('timeout', stalled);
    socket.setTimeout(0);
  };
}

function wentAway(cause?: unknown): BrokerError {
  if (cause instanceof BrokerError) return cause;
  return new BrokerError('TaskCanceled', 'The client went away before the last byte.', { cause });
}
