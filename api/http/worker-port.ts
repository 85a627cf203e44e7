/** Requests to the internal port of a worker, over kept-alive connections; bytes are streams in both directions. */
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';

/** Connections to workers that wait for their next request; those in use are as many as requests are held. */
const idleConnectionsMax = 64;
/** Longest time for a worker to begin its answer. */
const answerMs = 60_000;

export interface WorkerPort {
  /** The answer, whose body is not read yet. Rejects when the worker cannot be reached. */
  get(url: string): Promise<IncomingMessage>;
  /** A request whose body is the caller's to write and to end, and its answer. */
  put(url: string): { body: ClientRequest; answer: Promise<IncomingMessage> };
  /** Closes idle connections. */
  close(): void;
}

export function createWorkerPort(): WorkerPort {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: idleConnectionsMax, noDelay: true });
  const answerOf = (sent: ClientRequest): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      sent.once('response', resolve);
      sent.once('error', reject);
      sent.once('close', () => reject(new Error('the worker closed the connection')));
    });
  return {
    get(url) {
      const sent = request(url, { agent });
      const timer = setTimeout(() => sent.destroy(new Error('the worker did not answer')), answerMs);
      const answer = answerOf(sent);
      sent.once('response', () => clearTimeout(timer));
      sent.once('close', () => clearTimeout(timer));
      sent.end();
      return answer;
    },
    put(url) {
      const body = request(url, { agent, method: 'PUT' });
      body.on('error', () => undefined); // told by the answer, and again by each write
      const answer = answerOf(body);
      answer.catch(() => undefined);
      return { body, answer };
    },
    close: () => agent.destroy(),
  };
}
