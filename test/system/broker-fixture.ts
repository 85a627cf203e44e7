/** What the tests through a running broker share: a client of its API, tasks awaited to their end, and Slurm's own word. */
import { randomBytes } from 'node:crypto';
import { type Broker, startBroker as start } from '../../lab/broker.ts';
import { type OidcFacts, requestToken } from '../../lab/oidc/token-client.ts';
import { runCommand } from '../../lab/run-command.ts';
import { leakWatchOf, watched } from '../leaks/broker-leaks.ts';
import { answerCheckOf } from './documented-answer.ts';

export type { Broker } from '../../lab/broker.ts';

type Ground = Parameters<typeof start>[0];
type Options = NonNullable<Parameters<typeof start>[1]>;

/**
 * Many brokers stand on one lab, so each gets a name of its own for its files and logs. Its secrets are looked for when it
 * is stopped: `stop` rejects where one lies about. It runs compiled, as in production: test/lab.global.ts has it built.
 */
export async function startBroker(ground: Ground, options: Options = {}): Promise<Broker> {
  const name = `test-${randomBytes(3).toString('hex')}`;
  const broker = await start(ground, { name, isCompiled: true, ...options });
  return watched(broker, ground.oidc);
}

/** One answer, read to its end. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The parsed JSON; undefined where there is no body. */
  body: Body;
}

/** The members tests look at one by one; whole bodies are compared with matchers. */
export type Body = Record<string, unknown> & {
  message: string;
  jobId: string;
  id: string;
  state: string;
  code: string;
  output: unknown;
  jobs: JobView[];
  result: Record<string, unknown>;
  error: { code: string; message: string };
};

export interface JobView {
  jobId: string;
  name: string;
  status: { state: string; exitCode: number | null };
  nodes: string;
  allocationNodes: number;
}

export interface SendOptions {
  /** Sent as JSON, a text and a form as they are. */
  body?: unknown;
  headers?: Record<string, string>;
  /** Null: no Authorization header. */
  token?: string | null;
  signal?: AbortSignal;
}

export interface Client {
  send(method: string, path: string, options?: SendOptions): Promise<Answer>;
  get(path: string, options?: SendOptions): Promise<Answer>;
  post(path: string, body: unknown, options?: SendOptions): Promise<Answer>;
  delete(path: string, options?: SendOptions): Promise<Answer>;
}

function isSentAsIs(body: unknown): body is string | FormData {
  return typeof body === 'string' || body instanceof FormData;
}

/**
 * A client that sends `token` with every request. Redirects are shown, not followed. Each answer is held to the broker's
 * own OpenAPI document; one that is not as described there rejects.
 */
export function createClient(url: string, token: string): Client {
  const send = async (method: string, path: string, options: SendOptions = {}): Promise<Answer> => {
    const { body } = options;
    const bearer = options.token === undefined ? token : options.token;
    const headers: Record<string, string> = {
      ...(bearer === null ? {} : { authorization: `Bearer ${bearer}` }),
      ...(body === undefined || body instanceof FormData ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    };
    const sent = isSentAsIs(body) ? body : JSON.stringify(body);
    const response = await fetch(`${url}${path}`, {
      method,
      redirect: 'manual',
      headers,
      ...(sent === undefined ? {} : { body: sent }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const text = await response.text();
    leakWatchOf(url)?.heard({
      authorization: headers.authorization ?? null,
      sent: `${JSON.stringify(options.headers ?? {})}${typeof sent === 'string' ? sent : ''}`,
      answer: `${JSON.stringify([...response.headers])}\n${text}`,
    });
    const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '');
    const parsed = (isJson && text !== '' ? JSON.parse(text) : undefined) as Body;
    const seen = { method, path, status: response.status, contentType: response.headers.get('content-type') };
    const faults = (await answerCheckOf(url))?.({ ...seen, body: parsed }) ?? [];
    if (faults.length > 0)
      throw new Error(`${method} ${path}: ${response.status} is not as documented: ${faults.join('; ')}`);
    return { status: response.status, headers: response.headers, text, body: parsed };
  };
  return {
    send,
    get: (path, options) => send('GET', path, options),
    post: (path, body, options) => send('POST', path, { ...options, body }),
    delete: (path, options) => send('DELETE', path, options),
  };
}

/** A client that is a user of the lab. */
export async function clientOf(oidc: OidcFacts, url: string, name: string): Promise<Client> {
  return createClient(url, await requestToken(oidc, name));
}

/** `?path=…`, encoded. */
export function pathQuery(path: string): string {
  return `path=${encodeURIComponent(path)}`;
}

/** The path of a Location header, which a client would follow. */
export function locationOf(answer: Answer): string {
  const location = answer.headers.get('location');
  if (location === null) throw new Error(`no Location in the answer: ${answer.status} ${answer.text}`);
  return location;
}

/** Follows a task until it has ended, as a polite client does. Throws when it has not by then. */
export async function taskEnd(client: Client, location: string, timeoutMs = 60_000): Promise<Body> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const { body, status, text } = await client.get(location, { headers: { prefer: 'wait=5' } });
    if (status === 200 && ['completed', 'failed', 'canceled'].includes(body.state)) return body;
    if (Date.now() > deadline) throw new Error(`${location} has not ended: ${status} ${text}`);
  }
}

/** What Slurm says of itself, asked as root. */
export interface SlurmTruth {
  /** `id|comment` of every job of the user that the controller remembers whose comment holds the text. */
  jobsWithComment(username: string, text: string): Promise<string[]>;
  /** Base state of a job in the accounting: `COMPLETED`, `CANCELLED`, …; empty while it is not known there. */
  accountedState(jobId: string): Promise<string>;
}

export function slurmTruth(confPath: string): SlurmTruth {
  const ask = async (command: string, args: readonly string[]) =>
    (await runCommand(command, args, { env: { SLURM_CONF: confPath } })).stdout.trim();
  return {
    async jobsWithComment(username, text) {
      const rows = await ask('squeue', ['--noheader', '--states=all', `--user=${username}`, '--format=%i|%k']);
      return rows.split('\n').filter((row) => row.includes(text));
    },
    async accountedState(jobId) {
      const rows = await ask('sacct', ['-n', '-X', '-P', '-j', jobId, '-o', 'State']);
      return rows.split('\n')[0]?.split(' ')[0] ?? '';
    },
  };
}
