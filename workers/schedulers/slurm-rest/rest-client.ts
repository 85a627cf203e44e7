/** HTTP to slurmrestd as one of the cluster's users: bounded in time and size, stopped by a signal, tokens never shown. */
import { type ClientRequest, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http';
import { request as secureRequest, Agent as TlsAgent } from 'node:https';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { createElementReader } from './json-elements.ts';
import type { MintToken } from './user-token.ts';

/** Connections to one slurmrestd, which serves 20 requests at a time unless told otherwise; more requests wait here. */
const connectionsMax = 16;

/** Longest answer about one thing, and of one that is read piece by piece. */
const answerBytesMax = 32 * 1024 * 1024;
const listBytesMax = 256 * 1024 * 1024;

export interface RestCall {
  method: 'GET' | 'POST' | 'DELETE';
  /** With its query; every part from outside encoded. */
  path: string;
  username: string;
  signal: AbortSignal;
  /** On whose behalf it is sent, for who observes requests. */
  origin?: unknown;
  body?: unknown;
  /** The array `member` is read piece by piece; the answer then holds an empty one. */
  each?: { member: string; take: (element: unknown) => void };
}

export interface RestAnswer {
  status: number;
  /** The parsed answer, or its text where it is no JSON. */
  body: unknown;
}

export interface RestClientOptions {
  /** `http://` or `https://`, without a trailing slash. */
  url: string;
  /** PEM certificates to trust in place of the usual ones; null: the usual ones. */
  ca: string | null;
  /** For one request, its wait for a connection included. */
  timeoutMs: number;
  mint: MintToken;
}

/**
 * Answers whatever the status. Throws SchedulerFailed where there is no answer, with `sent` in its detail: false proves
 * that nothing reached slurmrestd; OutputTooLarge past a bound; on abort the signal's reason, TaskCanceled otherwise.
 */
export type Rest = (call: RestCall) => Promise<RestAnswer>;

export function createRestClient({ url, ca, timeoutMs, mint }: RestClientOptions): Rest {
  const isSecure = url.startsWith('https:');
  const agentOptions = { keepAlive: true, maxSockets: connectionsMax, timeout: timeoutMs };
  const agent = isSecure
    ? new TlsAgent({ ...agentOptions, ...(ca === null ? {} : { ca }) })
    : new PlainAgent(agentOptions);
  const open = isSecure ? secureRequest : plainRequest;

  return async (call) => {
    const token = await mint(call.username);
    if (call.signal.aborted) throw stopped(call.signal, false);
    const payload = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const request = open(`${url}${call.path}`, {
      method: call.method,
      // A kept connection may just be closing: what has an effect gets a new one, so that a failure to send is told as one.
      agent: call.method === 'GET' ? agent : false,
      ...(isSecure && ca !== null ? { ca } : {}),
      headers: {
        accept: 'application/json',
        'x-slurm-user-name': call.username,
        'x-slurm-user-token': token,
        ...(payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': payload.length }),
      },
    });
    return exchange(request, { call, payload, timeoutMs });
  };
}

interface Exchange {
  call: RestCall;
  payload: Buffer | undefined;
  timeoutMs: number;
}

async function exchange(request: ClientRequest, { call, payload, timeoutMs }: Exchange): Promise<RestAnswer> {
  let isConnected = false;
  request.once('socket', (socket) => {
    // A kept one is connected. With TLS nothing is sent before both sides have agreed.
    isConnected = !socket.connecting;
    if (isConnected) return;
    socket.once(request.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
      isConnected = true;
    });
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    request.destroy(new Error('timed out'));
  }, timeoutMs);
  const stop = () => request.destroy(new Error('stopped'));
  call.signal.addEventListener('abort', stop, { once: true });
  try {
    return await readAnswer(await responseTo(request, payload), call);
  } catch (error) {
    request.destroy();
    if (error instanceof BrokerError) throw error;
    if (call.signal.aborted) throw stopped(call.signal, isConnected);
    throw unanswered(error, { isConnected, timedOut, timeoutMs });
  } finally {
    clearTimeout(timer);
    call.signal.removeEventListener('abort', stop);
  }
}

function responseTo(request: ClientRequest, payload: Buffer | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.on('error', reject);
    request.end(payload);
  });
}

async function readAnswer(response: IncomingMessage, { each }: RestCall): Promise<RestAnswer> {
  const status = response.statusCode ?? 0;
  const reader = each && status === 200 ? createElementReader(each.member, each.take) : undefined;
  const bytesMax = reader ? listBytesMax : answerBytesMax;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw tooLarge(bytesMax);
    if (reader) pass(() => reader.write(chunk));
    else chunks.push(chunk);
  }
  if (reader) return { status, body: pass(() => reader.end()) };
  return { status, body: parsed(Buffer.concat(chunks).toString()) };
}

/** What the reader refuses is an answer of another form than this version reads. */
function pass<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (error instanceof BrokerError) throw error;
    throw new BrokerError('SchedulerFailed', 'The answer of the scheduler could not be read.', { cause: error });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // slurmrestd says some refusals in plain words
  }
}

function tooLarge(bytesMax: number): BrokerError {
  const message = `The answer of the scheduler is longer than ${bytesMax / 2 ** 20} MiB. Ask for a shorter time or fewer jobs.`;
  return new BrokerError('OutputTooLarge', message);
}

function stopped({ reason }: AbortSignal, sent: boolean): BrokerError {
  const [code, message] =
    reason instanceof BrokerError
      ? [reason.code, reason.message]
      : (['TaskCanceled', 'The request was canceled.'] as const);
  return new BrokerError(code, message, { cause: reason, detail: { sent } });
}

interface Failure {
  isConnected: boolean;
  timedOut: boolean;
  timeoutMs: number;
}

function unanswered(cause: unknown, { isConnected, timedOut, timeoutMs }: Failure): BrokerError {
  const detail = { sent: isConnected };
  if (timedOut) {
    const message = `The scheduler did not answer within ${timeoutMs / 1_000} s.`;
    return new BrokerError('SchedulerFailed', message, { cause, detail });
  }
  const message = isConnected ? 'The connection to slurmrestd was lost.' : 'slurmrestd cannot be reached.';
  return new BrokerError('SchedulerFailed', message, { cause, detail });
}
