/**
 * What may go wrong on the way between a cluster, or a worker, and the staging store, done on purpose: an HTTP proxy
 * before the real store that flips a byte, breaks off, refuses or holds a request. The store itself is never a fake.
 */
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** A request to the store, as the proxy sees it. */
export interface StoreRequest {
  method: string;
  /** Bucket and key, decoded. */
  path: string;
  query: URLSearchParams;
  /** First byte of the range that is asked for; 0 where none is. */
  rangeStart: number;
  /** 1 for the first request like this one: the same method, object, part and range. */
  time: number;
}

/** What happens to a request; bytes are counted in the body of a PUT, else in that of the answer. */
export type Fault =
  | { kind: 'flip'; atByte: number }
  | { kind: 'cut'; afterBytes: number }
  | { kind: 'answer'; status: number; code: string }
  /** Goes on, as it is, when the promise resolves. */
  | { kind: 'hold'; until: Promise<void> };

type Decide = (request: StoreRequest) => Fault | undefined;

export interface StoreFaultProxy {
  /** In the place of the store's own address. */
  url: string;
  /** Asked for each request, in the order in which they were added; the first that has a fault says it. */
  add(decide: Decide): void;
  /** Holds the first such request, and those that come before it is released; `reached` when it is there. */
  holdFirst(isMeant: (request: StoreRequest) => boolean): { reached: Promise<void>; release: () => void };
  stop(): Promise<void>;
}

export async function startStoreFaultProxy(storeUrl: string): Promise<StoreFaultProxy> {
  const { hostname, port } = new URL(storeUrl);
  const decisions: Decide[] = [];
  const times = new Map<string, number>();

  const faultOf = (incoming: IncomingMessage): Fault | undefined => {
    const seen = describe(incoming, times);
    for (const decide of decisions) {
      const fault = decide(seen);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };

  const server = createServer((incoming, outgoing) => {
    const fault = faultOf(incoming);
    pass(incoming, outgoing, fault, { hostname, port }).catch(() => {
      incoming.destroy();
      outgoing.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    add: (decide) => void decisions.push(decide),
    holdFirst(isMeant) {
      const reached = signal();
      const released = signal();
      let isOver = false;
      decisions.push((request) => {
        if (isOver || !isMeant(request)) return undefined;
        reached.resolve();
        return { kind: 'hold', until: released.promise };
      });
      const release = (): void => {
        isOver = true;
        released.resolve();
      };
      return { reached: reached.promise, release };
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A promise and what resolves it. */
function signal(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

function describe({ method = '', url = '', headers }: IncomingMessage, times: Map<string, number>): StoreRequest {
  const { pathname, searchParams } = new URL(url, 'http://store');
  const path = decodeURIComponent(pathname);
  const rangeStart = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
  const name = [method, path, searchParams.get('partNumber'), rangeStart].join(' ');
  const time = (times.get(name) ?? 0) + 1;
  times.set(name, time);
  return { method, path, query: searchParams, rangeStart, time };
}

async function pass(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  fault: Fault | undefined,
  store: { hostname: string; port: string },
): Promise<void> {
  if (fault?.kind === 'hold') await fault.until;
  if (fault?.kind === 'answer') return answerInstead(incoming, outgoing, fault);
  const { method = '', url = '', headers } = incoming;
  const { expect: _expect, ...kept } = headers; // was answered here
  const onward = httpRequest({ ...store, method, path: url, headers: kept });
  const answering = new Promise<IncomingMessage>((resolve, reject) =>
    onward.once('response', resolve).once('error', reject),
  );
  answering.catch(() => undefined); // told below
  const isUpward = method === 'PUT';
  await pipeline(incoming, through(isUpward ? fault : undefined), onward);
  const answer = await answering;
  outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
  outgoing.flushHeaders();
  await pipeline(answer, through(isUpward ? undefined : fault), outgoing);
}

async function answerInstead(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status, code }: { status: number; code: string },
): Promise<void> {
  for await (const _chunk of incoming);
  outgoing.writeHead(status, { 'content-type': 'application/xml' });
  outgoing.end(status < 400 ? '' : `<?xml version="1.0"?><Error><Code>${code}</Code></Error>`);
}

/** The body with what is to happen to it. A cut is an error, after which nobody gets another byte. */
function through(fault: Fault | undefined): Transform {
  let at = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const from = at;
      at += chunk.length;
      if (fault?.kind === 'flip' && from <= fault.atByte && fault.atByte < at) {
        const flipped = Buffer.from(chunk);
        flipped[fault.atByte - from] = (flipped[fault.atByte - from] ?? 0) ^ 1;
        done(null, flipped);
      } else if (fault?.kind === 'cut' && at > fault.afterBytes) {
        this.push(chunk.subarray(0, fault.afterBytes - from));
        setImmediate(() => done(new Error('cut'))); // what was pushed goes out first
      } else done(null, chunk);
    },
    flush(done) {
      // All of it arrived; whoever sent it is not told.
      done(fault?.kind === 'cut' ? new Error('cut') : null);
    },
  });
}
