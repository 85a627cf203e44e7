/** The way through the broker, over its REST API. */
import type { Broker } from '../lab/broker.ts';
import type { Lab } from '../lab/lab.ts';
import { userNamed } from '../lab/users.ts';
import { createHttpCaller, type HttpCaller, requestBytes } from './http-caller.ts';
import { cpuSeconds } from './process-cpu.ts';
import type { CpuPerRequest } from './report.ts';
import { benchScript, listedDirectory } from './subjects.ts';

export interface Face {
  stat(caller: number): Promise<void>;
  list(caller: number): Promise<void>;
  submit(caller: number): Promise<void>;
  /** A request of the file system's routes (`ops/…`), made once and sent by any caller. */
  prepare(
    method: string,
    route: string,
    status: number,
    body?: string | Buffer,
    contentType?: string,
  ): (caller: number) => Promise<void>;
  /** The same with a route and a body of its own for each request: what can be done only once. */
  prepareEach(
    method: string,
    status: number,
    next: () => { route: string; body?: string },
  ): (caller: number) => Promise<void>;
  /** A request for the state of a job. */
  prepareJob(jobId: string): (caller: number) => Promise<void>;
  /** Seconds of processor time so far, by process. */
  cpu(): CpuPerRequest;
  close(): void;
}

export async function openFace(lab: Lab, broker: Broker): Promise<Face> {
  const { home } = userNamed(lab.users, 'alice');
  // Long enough for the whole run.
  const token = await lab.oidc.token('alice', { expiresInSeconds: 3_600 });
  const { directory } = listedDirectory(home);
  const headers = { authorization: `Bearer ${token}` };
  const url = (path: string): URL => new URL(path, broker.url);
  const query = new URLSearchParams({ path: directory });
  const files = `/filesystem/${broker.systemName}/ops`;
  const stat = requestBytes('GET', url(`${files}/stat?${query}`), headers);
  const list = requestBytes('GET', url(`${files}/ls?${query}`), headers);
  const body = JSON.stringify({ job: { name: 'bench', workingDirectory: home, script: benchScript } });
  const json = { ...headers, 'content-type': 'application/json' };
  const submit = requestBytes('POST', url(`/compute/${broker.systemName}/jobs`), json, body);

  const callers: HttpCaller[] = [];
  const { hostname, port } = url('/');
  const caller = (number: number): HttpCaller => {
    callers[number] ??= createHttpCaller(hostname, Number(port));
    return callers[number];
  };
  const pidsOf = (...daemons: { pid(): number | undefined }[]): number[] =>
    daemons.map((daemon) => daemon.pid()).filter((pid) => pid !== undefined);
  const cpu = (): CpuPerRequest => ({
    api: cpuSeconds(pidsOf(broker.api)),
    worker: cpuSeconds(pidsOf(...broker.workers)),
    redis: cpuSeconds(pidsOf(lab.redis)),
  });
  return {
    stat: (number) => caller(number).call(stat, 200),
    list: (number) => caller(number).call(list, 200),
    submit: (number) => caller(number).call(submit, 201),
    prepare(method, route, status, body, contentType = 'application/json') {
      const sent = body === undefined ? headers : { ...headers, 'content-type': contentType };
      const bytes = requestBytes(method, url(`/filesystem/${broker.systemName}/${route}`), sent, body);
      return (number) => caller(number).call(bytes, status);
    },
    prepareEach(method, status, next) {
      return (number) => {
        const { route, body } = next();
        const target = url(`/filesystem/${broker.systemName}/${route}`);
        return caller(number).call(requestBytes(method, target, body === undefined ? headers : json, body), status);
      };
    },
    prepareJob(jobId) {
      const bytes = requestBytes('GET', url(`/compute/${broker.systemName}/jobs/${jobId}`), headers);
      return (number) => caller(number).call(bytes, 200);
    },
    cpu,
    close() {
      for (const each of callers) each?.close();
    },
  };
}
