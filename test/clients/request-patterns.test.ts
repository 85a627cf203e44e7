/**
 * What clients send that cannot be installed here: the web console of FirecREST, the Open OnDemand adapter, Renku's remote
 * sessions, the interLink plug-in and the Go library. Their requests, spelled as they spell them, and what they read.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { type Answer, type Broker, type Client, clientOf, pathQuery } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { startClientBroker } from './client-broker.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const account = alice.accounts[0] ?? '';
const sleeper = '#!/bin/bash\nsleep 300\n';

let broker: Broker;
let client: Client;
let own: OwnDirectory;
let files: string;
let compute: string;

beforeAll(async () => {
  broker = await startClientBroker();
  client = await clientOf(lab.oidc, broker.url, 'alice');
  own = homeDirectory(alice);
  writeFileSync(join(own.path, 'file'), 'line 1\nline 2\n');
  mkdirSync(join(own.path, 'directory'));
  own.giveAway();
  files = `/filesystem/${broker.systemName}/ops`;
  compute = `/compute/${broker.systemName}/jobs`;
});

afterAll(async () => {
  await broker?.stop();
  own?.remove();
});

function at(name: string): string {
  return join(own.path, name);
}

/** The exact status, and JSON where there is a body, as clients with a strict decoder want it. */
async function expectAnswer(answer: Promise<Answer>, status: number): Promise<Answer['body']> {
  const { status: actual, headers, text, body } = await answer;
  expect(actual, text).toBe(status);
  if (status === 204) expect(text).toBe('');
  else expect(headers.get('content-type')).toContain('json');
  return body;
}

/** Submits a job in a client's own spelling and cancels it when the test has looked at it. */
async function withJob(job: Record<string, unknown>, look: (jobId: string) => Promise<void>): Promise<void> {
  const { jobId } = await expectAnswer(client.post(compute, { job }), 201);
  expect(jobId).toMatch(/^\d+$/);
  try {
    await look(jobId);
  } finally {
    await expectAnswer(client.delete(`${compute}/${jobId}`), 204);
  }
}

describe('the web console', () => {
  it('submits with snake case, an `environment` and empty texts for what was not chosen', async () => {
    const unchosen = { standard_input: '', standard_output: '', standard_error: '', reservation: '', partition: '' };
    const job = {
      script: sleeper,
      working_directory: own.path,
      account,
      name: 'console',
      environment: {},
      ...unchosen,
    };
    await withJob(job, async (jobId) => {
      const list = await expectAnswer(client.get(`${compute}?account=${account}&allusers=true`), 200);
      const found = list.jobs.find((each) => each.jobId === jobId);
      expect(found?.name).toBe('console');
      // The console reads it as a number. (Jobs of others may be parts of an array, whose ids are none.)
      expect(found?.jobId).toMatch(/^\d+$/);
    });
  });

  it('shows the output of a job that it found by its metadata', async () => {
    const job = { script: '#!/bin/bash\necho said\nsleep 300\n', working_directory: own.path, name: 'console' };
    await withJob(job, async (jobId) => {
      const [metadata] = (await expectAnswer(client.get(`${compute}/${jobId}/metadata`), 200)).jobs;
      const { standardOutput } = metadata as unknown as { standardOutput: string };
      await expect
        .poll(async () => (await client.get(`${files}/tail?${pathQuery(standardOutput)}`)).text, { timeout: 120_000 })
        .toContain('said');
    });
  });

  it('makes directories and links, changes owner and mode, and deletes by a path that it does not encode', async () => {
    await expectAnswer(client.post(`${files}/mkdir`, { path: at('a b,c;d=e'), parent: false }), 201);
    await expectAnswer(client.post(`${files}/symlink`, { path: at('file'), linkPath: at('link') }), 201);
    await expectAnswer(client.send('PUT', `${files}/chmod`, { body: { path: at('file'), mode: '644' } }), 200);
    const unchanged = { path: at('file'), owner: alice.username, group: '' };
    await expectAnswer(client.send('PUT', `${files}/chown`, { body: unchanged }), 200);
    await expectAnswer(client.get(`${files}/checksum?path=${at('file')}`), 200);
    await expectAnswer(client.delete(`${files}/rm?path=${at('a b,c;d=e')}`), 204);
  });

  it('reads JSON with a message from every failure, and gets the ids of its requests back', async () => {
    const ids = { 'x-request-id': crypto.randomUUID(), 'x-correlation-id': crypto.randomUUID() };
    const failures = ['/nowhere', `${files}/stat?${pathQuery(at('missing'))}`, `${files}/ls`, '/status/nowhere/nodes'];
    for (const path of failures) {
      const answer = await client.get(path, { headers: ids });
      expect(answer.headers.get('content-type')).toContain('json');
      expect(answer.body.message, path).toMatch(/\w/);
      expect(Object.fromEntries(answer.headers)).toMatchObject(ids);
    }
  });
});

describe('the Open OnDemand adapter', () => {
  it('gets the id as a text and is not disturbed by a parameter that does not exist', async () => {
    const env = { OOD_JOB: 'a,b=c', SECOND: '' };
    await withJob({ name: 'ood', working_directory: own.path, script: sleeper, env, account }, async (jobId) => {
      const { jobs } = await expectAnswer(client.get(`${compute}?jobs=${jobId},2`), 200);
      expect(jobs.map((each) => each.jobId)).toContain(jobId);
    });
  });

  it('tells directories by the words of file(1), and reads a listing', async () => {
    expect((await expectAnswer(client.get(`${files}/file?${pathQuery(own.path)}`), 200)).output).toContain('directory');
    const { output } = await expectAnswer(client.get(`${files}/ls?${pathQuery(own.path)}&showHidden=true`), 200);
    const [entry] = (output as Record<string, string>[]).filter(({ name }) => name === 'file');
    expect(Number(entry?.size)).toBe(readFileSync(at('file')).length);
    expect(entry?.permissions).toMatch(/^[rwxsStT-]{9}$/);
    expect(Date.parse(`${entry?.lastModified}Z`)).not.toBeNaN();
  });
});

describe("Renku's remote sessions", () => {
  it('start a script that was put on the cluster, and know every state that they are told', async () => {
    writeFileSync(at('session.sh'), sleeper, { mode: 0o755 });
    own.giveAway();
    const job = { name: 'renku', workingDirectory: own.path, scriptPath: at('session.sh'), env: { A: 'b' } };
    await withJob(job, async (jobId) => {
      const { jobs } = await expectAnswer(client.get(`${compute}/${jobId}`), 200);
      expect(jobs.map(({ status }) => status.state)).toEqual([expect.stringMatching(/^(PENDING|RUNNING)$/)]);
      expect(jobs[0]).toMatchObject({ jobId, nodes: expect.any(String), allocationNodes: expect.any(Number) });
    });
  });

  it('find the scratch file system', async () => {
    const { systems } = await expectAnswer(client.get('/status/systems'), 200);
    const [system] = systems as { fileSystems: { dataType: string }[] }[];
    expect(system?.fileSystems.map(({ dataType }) => dataType)).toContain('scratch');
  });

  it('follow a log by offset and size, to its end and past it', async () => {
    const view = async (query: string) =>
      (await expectAnswer(client.get(`${files}/view?${pathQuery(at('file'))}&${query}`), 200)).output;
    expect(await view('offset=7&size=524288')).toBe('line 2\n');
    expect(await view('offset=14&size=524288')).toBe('');
    expect(await view('offset=9000&size=524288')).toBe('');
  });
});

describe('the interLink plug-in and the Go library', () => {
  it('take 404 for a job or a file that is gone', async () => {
    await expectAnswer(client.get(`${compute}/99999999`), 404);
    await expectAnswer(client.delete(`${compute}/99999999`), 404);
    await expectAnswer(client.delete(`${files}/rm?${pathQuery(at('missing'))}`), 404);
  });

  it('get exactly one job by its id, and one metadata', async () => {
    await withJob({ workingDirectory: own.path, script: sleeper }, async (jobId) => {
      expect((await expectAnswer(client.get(`${compute}/${jobId}?allusers=false&account=`), 200)).jobs).toHaveLength(1);
      expect((await expectAnswer(client.get(`${compute}/${jobId}/metadata`), 200)).jobs).toHaveLength(1);
    });
  });

  it('get 401 without a token, and nodes whose states are lists', async () => {
    await expectAnswer(client.get('/status/systems', { token: null }), 401);
    const { nodes } = await expectAnswer(client.get(`/status/${broker.systemName}/nodes`), 200);
    expect((nodes as { state: unknown }[]).every(({ state }) => Array.isArray(state))).toBe(true);
  });
});

describe('the launcher of models', () => {
  it('may cancel a job that has ended', async () => {
    const { jobId } = await expectAnswer(
      client.post(compute, { job: { workingDirectory: own.path, script: '#!/bin/bash\n' } }),
      201,
    );
    expect(Number.parseInt(jobId, 10)).toBeGreaterThan(0);
    const state = async () => (await client.get(`${compute}/${jobId}`)).body.jobs[0]?.status.state;
    await expect.poll(state, { timeout: 120_000 }).toBe('COMPLETED');
    await expectAnswer(client.delete(`${compute}/${jobId}`), 204);
  });
});
