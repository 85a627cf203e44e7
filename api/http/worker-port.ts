/** Requests to the internal port of a worker, over kept-alive connections; bytes are streams in both directions. */
import { Agent, type ClientRequest, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { type AnswerHead, openWorkerConnection, type SentBody, type WorkerConnection } from './worker-connection.ts';

/** Connections to workers that wait for their next request; those in use are as many as requests are held. */
const idleConnectionsMax = 64;
/** How long they wait; a worker keeps them for longer. */
const idleMs = 30_000;
/** Longest time for a worker to begin its answer. */
const answerMs = 60_000;
/** A worker that neither takes a byte nor answers for so long is hung; one that works breaks off before that by itself. */
const hungMs = 60_000;

/** An answer whose body has not been read yet. */
export interface WorkerAnswer extends AnswerHead {
  /** Writes the body as fast as it is taken, without ending the response. Rejects where one of the two broke off. */
  moveTo(response: ServerResponse): Promise<void>;
  /** The body is not wanted. */
  drop(): void;
}

/** A worker that is to take bytes. */
export interface WorkerIntake extends Pick<SentBody, 'isReady' | 'write'> {
  /** Behind the last byte: whether the worker says that it has all of them. */
  end(): Promise<boolean>;
  /** Whether it may still take some. */
  isOpen(): boolean;
  /** Breaks it off; without effect once it has ended. */
  close(): void;
}

export interface WorkerPort {
  /** The answer, with a body of known length. Rejects when the worker cannot be reached. */
  get(url: string): Promise<WorkerAnswer>;
  /** The same with a body that may grow for long, bit by bit. */
  follow(url: string): Promise<WorkerAnswer>;
  /** A request whose body is the caller's to write, once the worker asks for it, and to end or to break off. */
  put(url: string): WorkerIntake;
  /** Closes idle connections. */
  close(): void;
}

/** `passed` is told of the bytes that go to workers. */
export function createWorkerPort(passed: (bytes: number) => void = () => undefined): WorkerPort {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: idleConnectionsMax, noDelay: true });
  const connections = createIdleConnections();
  const answerOf = (sent: ClientRequest): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      sent.once('response', resolve);
      sent.once('error', reject);
      sent.once('close', () => reject(new Error('the worker closed the connection')));
    });
  return {
    async get(url) {
      const target = new URL(url);
      const connection = connections.take(target);
      const head = await connection.get(target, answerMs);
      return {
        ...head,
        async moveTo(response) {
          await connection.moveBody(response);
          connections.giveBack(target, connection);
        },
        drop: () => connections.giveBack(target, connection),
      };
    },
    async follow(url) {
      const sent = request(url, { agent });
      const timer = setTimeout(() => sent.destroy(new Error('the worker did not answer')), answerMs);
      const answered = answerOf(sent);
      sent.once('response', () => clearTimeout(timer));
      sent.once('close', () => clearTimeout(timer));
      sent.end();
      const message = await answered;
      return {
        statusCode: message.statusCode ?? 0,
        headers: Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name, String(value)])),
        moveTo: (response) => pipeline(message, response, { end: false }),
        drop: () => void message.resume(),
      };
    },
    put(url) {
      const target = new URL(url);
      const connection = connections.take(target);
      const body = connection.put(target);
      let isOver = false;
      return {
        isReady: body.isReady,
        isOpen: () => !isOver && connection.isOpen(),
        write(bytes) {
          connection.limitIdle(hungMs);
          passed(bytes.length);
          return body.write(bytes);
        },
        async end() {
          connection.limitIdle(hungMs);
          const isTaken = (await body.end()) === 204;
          isOver = true;
          connection.limitIdle(0);
          // After any other answer the worker may wait for the rest of the body.
          if (isTaken) connections.giveBack(target, connection);
          else connection.close();
          return isTaken;
        },
        close() {
          if (!isOver) connection.close();
        },
      };
    },
    close() {
      agent.destroy();
      connections.close();
    },
  };
}

/** Those that wait for a request, by worker; the last one that was used is taken first. */
function createIdleConnections() {
  const idle: { origin: string; connection: WorkerConnection; timer: NodeJS.Timeout }[] = [];
  const remove = (connection: WorkerConnection): void => {
    const at = idle.findIndex((each) => each.connection === connection);
    if (at >= 0) clearTimeout(idle.splice(at, 1)[0]?.timer);
  };
  return {
    take({ origin, hostname, port }: URL): WorkerConnection {
      const known = idle.findLast((each) => each.origin === origin)?.connection;
      if (known !== undefined) {
        remove(known);
        return known;
      }
      const connection = openWorkerConnection(hostname.replace(/^\[(.*)\]$/, '$1'), Number(port || 80));
      connection.onClose(() => remove(connection));
      return connection;
    },
    /** One with something of its answer left is closed. */
    giveBack({ origin }: URL, connection: WorkerConnection): void {
      if (!connection.isFree() || idle.length >= idleConnectionsMax) {
        connection.close();
        return;
      }
      const timer = setTimeout(() => connection.close(), idleMs).unref();
      idle.push({ origin, connection, timer });
    },
    close(): void {
      for (const { connection } of [...idle]) connection.close();
    },
  };
}
