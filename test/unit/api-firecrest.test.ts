/** FirecREST v2's routes in-process: statuses, bodies, spellings, and what bad input is told. */
import { describe, expect, it } from 'vitest';
import { BrokerError, toStoredError } from '../../shared/errors/broker-error.ts';
import { describeError, errorCodes } from '../../shared/errors/catalogue.ts';
import { asAlice, createLocalGate, createLogSink, createTestApp, jsonPost, nowMs } from './api-fixture.ts';

const stat = { mode: 33188, ino: 1, dev: 2, nlink: 1, uid: 3, gid: 4, size: 5, atime: 6, ctime: 7, mtime: 8 };
const results: Record<string, unknown> = {
  'filesystem.stat': stat,
  'filesystem.ls': { entries: [] },
  'compute.submit-job': { jobId: '42' },
  'compute.cancel-job': { jobId: '42' },
  'compute.get-job': { jobs: [{ jobId: '42' }] },
  'status.systems': { systems: [] },
  'filesystem.mkdir': {
    entry: {
      ...{ name: 'new', type: 'd', linkTarget: null, user: 'a', group: 'a', permissions: 'rwxr-xr-x' },
      ...{ lastModified: '2026-01-31T12:00:00', size: '4096' },
    },
  },
};

function completing() {
  const local = createLocalGate(({ operation }) => ({ state: 'completed', result: results[operation] }));
  return { ...local, app: createTestApp(local.gate) };
}

async function problemOf(response: Response) {
  expect(response.headers.get('content-type')).toMatch(/json/);
  return (await response.json()) as Record<string, unknown> & {
    message: string;
    data: { fields: { location: string; name: string; message: string }[] };
    errors: { pointer: string; detail: string }[];
  };
}

const job = { workingDirectory: '/home/a', script: '#!/bin/sh\n' };

describe('successful answers', () => {
  it.each([
    ['GET', '/filesystem/alps/ops/stat?path=/home/f', 200, { output: stat }],
    ['GET', '/filesystem/alps/ops/ls?path=/home', 200, { output: [] }],
    ['GET', '/compute/alps/jobs/42', 200, { jobs: [{ jobId: '42' }] }],
    ['GET', '/status/systems', 200, { systems: [] }],
  ])('%s %s has the status and body of FirecREST v2', async (method, path, status, body) => {
    const response = await completing().app.request(path, { method, headers: asAlice });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('f7t-appversion')).toBe('2.5.7');
    expect(response.headers.get('f7t-timestamp')).toBe(String(nowMs / 1000));
    expect(response.headers.has('f7t-authusername')).toBe(false);
    expect(await response.json()).toEqual(body);
  });

  it('cancel answers 204 without a body and submit 201 with the job id as text', async () => {
    const { app } = completing();
    const canceled = await app.request('/compute/alps/jobs/42', { method: 'DELETE', headers: asAlice });
    expect([canceled.status, await canceled.text()]).toEqual([204, '']);
    const submitted = await app.request('/compute/alps/jobs', jsonPost({ job }));
    expect([submitted.status, await submitted.json()]).toEqual([201, { jobId: '42' }]);
  });
});

describe('lenient input', () => {
  it.each([
    [{ workingDirectory: '/home/a', env: { A: '1' }, scriptPath: '/home/s' }],
    [{ working_directory: '/home/a', environment: { A: '1' }, script_path: '/home/s' }],
    [{ current_working_directory: '/home/a', env: ['A=1'], scriptPath: '/home/s', nonsense: 1 }],
  ])('all spellings of a job are one job: %j', async (spelled) => {
    const { app, accepted } = completing();
    const response = await app.request('/compute/alps/jobs', jsonPost({ job: spelled, extra: true }));
    expect(response.status).toBe(201);
    expect(accepted[0]?.input).toMatchObject({
      job: { workingDirectory: '/home/a', env: { A: '1' }, scriptPath: '/home/s' },
    });
  });

  it('currentWorkingDirectory is no spelling of the working directory', async () => {
    const { app } = completing();
    const response = await app.request(
      '/compute/alps/jobs',
      jsonPost({ job: { currentWorkingDirectory: '/home/a', script: 'x' } }),
    );
    expect(response.status).toBe(400);
    const problem = await problemOf(response);
    expect(problem.data.fields[0]).toMatchObject({ location: 'body', name: 'job', message: 'is required' });
    expect(problem.errors[0]?.pointer).toBe('/job/workingDirectory');
  });

  it('queries are lax: text booleans, empty values unset, unknown names ignored, the last repeat counts', async () => {
    const { app, accepted } = completing();
    const query = 'path=/nowhere&path=/home/a%20b%2Bc&showHidden=yes&recursive=&account=&zzz=1';
    expect((await app.request(`/filesystem/alps/ops/ls?${query}`, { headers: asAlice })).status).toBe(200);
    expect(accepted[0]?.input).toEqual({
      path: '/home/a b+c',
      showHidden: true,
      numericUid: false,
      recursive: false,
      dereference: false,
    });
    expect((await app.request('/compute/alps/jobs/42?allusers=false&account=', { headers: asAlice })).status).toBe(200);
  });

  it('the path is case-insensitive but a job id keeps its case, the query too', async () => {
    const { app, accepted } = completing();
    await app.request('/COMPUTE/Alps/Jobs/12.Server', { headers: asAlice });
    await app.request('/FileSystem/ALPS/ops/STAT?path=/home/README', { headers: asAlice });
    expect(accepted.map(({ system, input }) => [system, input])).toEqual([
      ['alps', { jobId: '12.Server' }],
      ['alps', { path: '/home/README', dereference: false }],
    ]);
  });

  it('a percent-encoded array job id is decoded', async () => {
    const { app, accepted } = completing();
    await app.request('/compute/alps/jobs/123_%5B1-5%5D', { headers: asAlice });
    expect(accepted[0]?.input).toEqual({ jobId: '123_[1-5]' });
  });
});

describe('refused input', () => {
  const refused: [string, RequestInit, number, string][] = [
    ['/filesystem/nosuch/ops/ls?path=/home', { headers: asAlice }, 404, 'System not found'],
    ['/filesystem/alps/ops/ls', { headers: asAlice }, 400, 'path'],
    ['/filesystem/alps/ops/ls?path=', { headers: asAlice }, 400, 'path'],
    ['/filesystem/alps/ops/ls?path=relative', { headers: asAlice }, 400, 'is not an absolute path.'],
    ['/filesystem/alps/ops/ls?path=/etc/passwd', { headers: asAlice }, 400, 'for the requested system (alps).'],
    ['/filesystem/alps/ops/ls?path=/home/../etc', { headers: asAlice }, 400, 'does not match any'],
    ['/filesystem/alps/ops/ls?path=/home/%00', { headers: asAlice }, 400, 'NUL'],
    ['/filesystem/alps/ops/ls?path=/home/%FF', { headers: asAlice }, 400, 'percent-encoded UTF-8'],
    ['/filesystem/alps/ops/ls?path=/home/100%', { headers: asAlice }, 400, '%25'],
    [`/filesystem/alps/ops/ls?path=/home/${'a'.repeat(5000)}`, { headers: asAlice }, 400, '4095'],
    [`/filesystem/alps/ops/ls?path=/home/${'a'.repeat(70_000)}`, { headers: asAlice }, 400, 'characters long'],
    [`/filesystem/alps/ops/ls?${'a=1&'.repeat(300)}`, { headers: asAlice }, 400, 'parameters'],
    ['/filesystem/alps/ops/ls?path=/home&recursive=zz', { headers: asAlice }, 400, 'recursive'],
    ['/compute/alps/jobs/-rf', { headers: asAlice }, 400, 'must be a job id'],
    ['/compute/alps/jobs/%zz', { headers: asAlice }, 400, 'job_id'],
    ['/compute/alps/jobs', jsonPost('{bad'), 400, 'not valid JSON'],
    ['/compute/alps/jobs', jsonPost('[]'), 400, 'must be a JSON object'],
    ['/compute/alps/jobs', jsonPost(''), 400, 'is required'],
    ['/compute/alps/jobs', jsonPost({}), 400, '`job` is required'],
    ['/compute/alps/jobs', jsonPost(`{"a":${'['.repeat(60)}${']'.repeat(60)}}`), 400, 'deeper'],
    ['/compute/alps/jobs', jsonPost({ job: { ...job, env: { A: 1 } } }), 400, 'job.env.A'],
    ['/compute/alps/jobs', jsonPost({ job }, { 'content-type': 'text/plain' }), 400, 'Content-Type'],
    ['/compute/alps/jobs', jsonPost({ job }, { 'content-encoding': 'gzip' }), 415, 'compressed'],
    ['/compute/alps/jobs', jsonPost({ job: { ...job, script: 'x'.repeat(70_000) } }), 413, '65536 bytes'],
  ];
  it.each(refused.map(([path, ...rest]) => [path.slice(0, 60), path, ...rest] as const))(
    '%s is refused with a sentence that names the trouble',
    async (_title, path, init, status, text) => {
      const { app, accepted } = completing();
      const response = await app.request(path, init);
      const problem = await problemOf(response);
      expect([response.status, problem.status]).toEqual([status, status]);
      expect(problem.message).toContain(text);
      expect(problem.errorType).toBe(problem.code === 'InvalidRequest' ? 'validation' : 'error');
      expect(response.headers.get('f7t-authusername')).toBe('alice');
      expect(problem.user).toBe('alice');
      expect(accepted).toEqual([]);
    },
  );

  it('a body that is not valid UTF-8 is refused, not repaired', async () => {
    const { app } = completing();
    const body = Buffer.concat([Buffer.from('{"job":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
    const headers = { ...asAlice, 'content-type': 'application/json' };
    const response = await app.request('/compute/alps/jobs', { method: 'POST', body, headers });
    expect([response.status, (await problemOf(response)).message]).toEqual([400, expect.stringContaining('UTF-8')]);
  });

  it('a body that grows past the bound is cut off while it is read, whatever its Content-Length says', async () => {
    const { app } = completing();
    let sentBytes = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sentBytes += 16_384;
        controller.enqueue(new Uint8Array(16_384).fill(0x20));
      },
    });
    const headers = { ...asAlice, 'content-type': 'application/json' };
    const init = { method: 'POST', body: endless, duplex: 'half', headers } as RequestInit;
    const response = await app.request('/compute/alps/jobs', init);
    expect(response.status).toBe(413);
    expect(sentBytes).toBeLessThan(256 * 1024);
    const declared = await app.request(
      '/compute/alps/jobs',
      jsonPost({ job: { ...job, script: 'x'.repeat(70_000) } }, { 'content-length': '10' }),
    );
    expect(declared.status).toBe(413);
  });
});

describe('how a task ends is how the request ends', () => {
  it('a failed task answers with its own status, message, user and Retry-After', async () => {
    const failure = new BrokerError('SshNoChannel', 'Unable to open a new SSH channel.', { retryAfterSeconds: 2.5 });
    const { gate } = createLocalGate(() => ({ state: 'failed', error: toStoredError(failure) }));
    const response = await createTestApp(gate).request('/filesystem/alps/ops/ls?path=/home', { headers: asAlice });
    expect([response.status, response.headers.get('retry-after')]).toEqual([424, '3']);
    expect(await problemOf(response)).toMatchObject({
      type: 'urn:goldcrest:error:ssh-no-channel',
      title: 'Unable to open a new SSH channel.',
      code: 'SshNoChannel',
      fault: 'cluster',
      retryable: true,
      instance: '/filesystem/alps/ops/ls',
      errorType: 'error',
      message: 'Unable to open a new SSH channel.',
      causedBy: null,
      data: null,
      user: 'alice',
    });
  });

  it('a mutation that outlives the hold is 408 and names its task; a read is 408 without one', async () => {
    const { gate } = createLocalGate();
    const app = createTestApp(gate, {}, { publicUrl: 'https://hpc.example' });
    const mutation = await app.request('/compute/alps/jobs', jsonPost({ job }, { 'idempotency-key': 'k' }));
    expect([mutation.status, mutation.headers.get('idempotency-key-reply')]).toEqual([408, 'miss']);
    expect(mutation.headers.get('location')).toMatch(/^https:\/\/hpc\.example\/tasks\/0190/);
    const read = await app.request('/compute/alps/jobs/1', { headers: asAlice });
    expect([read.status, read.headers.get('location')]).toEqual([408, null]);
  });

  it('a canceled mutation is 409', async () => {
    const { gate } = createLocalGate(() => ({ state: 'canceled' }));
    expect((await createTestApp(gate).request('/compute/alps/jobs', jsonPost({ job }))).status).toBe(409);
  });

  it('an unknown throwable is a fixed sentence to the caller and the whole story to the log', async () => {
    const { gate } = createLocalGate(() => {
      throw new Error('secret of the engine room');
    });
    const { lines, log } = createLogSink();
    const response = await createTestApp(gate, { log }).request('/status/systems', { headers: asAlice });
    const text = await response.text();
    expect([response.status, text.includes('engine room')]).toEqual([500, false]);
    expect(lines.some((line) => line.includes('engine room') && line.includes('"requestId"'))).toBe(true);
  });
});

describe('Prefer and Idempotency-Key', () => {
  it('respond-async answers 202 with the task and where to look', async () => {
    const { gate, accepted } = createLocalGate();
    const response = await createTestApp(gate).request('/filesystem/alps/ops/ls?path=/home', {
      headers: { ...asAlice, prefer: 'handling=lenient, Respond-Async' },
    });
    expect(response.status).toBe(202);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      location: expect.stringMatching(/^\/tasks\/0190/),
      'retry-after': '1',
      'preference-applied': 'respond-async',
      vary: 'Prefer',
    });
    expect(await response.json()).toMatchObject({ operation: 'filesystem.ls', system: 'alps', state: 'pending' });
    expect(accepted[0]?.isHeld).toBe(false);
  });

  it('respond-async with wait answers directly when the task ends in that time', async () => {
    const { app } = completing();
    const headers = { ...asAlice, prefer: 'respond-async, wait=5' };
    const response = await app.request('/filesystem/alps/ops/stat?path=/home/f', { headers });
    expect([response.status, response.headers.get('preference-applied')]).toEqual([200, 'wait=5']);
    expect(await response.json()).toEqual({ output: stat });
  });

  it.each([
    ['/compute/alps/jobs', { job }, { jobId: '42' }],
    ['/filesystem/alps/ops/mkdir', { path: '/home/new' }, { output: null }],
  ])(
    'return=minimal leaves of the answer of %s what is new, return=representation leaves it whole',
    async (path, body, least) => {
      for (const prefer of ['return=minimal', 'return=representation', 'respond-async, wait=5, return=minimal']) {
        const response = await completing().app.request(path, jsonPost(body, { prefer }));
        const applied = prefer.startsWith('return') ? prefer : 'wait=5, return=minimal';
        expect([response.status, response.headers.get('preference-applied')]).toEqual([201, applied]);
        expect(response.headers.get('vary')).toBe('Prefer');
        const whole = { ...least, ...('output' in least ? { output: expect.objectContaining({ name: 'new' }) } : {}) };
        expect(await response.json()).toEqual(prefer.includes('minimal') ? least : whole);
      }
      const read = await completing().app.request('/filesystem/alps/ops/stat?path=/home/f', {
        headers: { ...asAlice, prefer: 'return=minimal' },
      });
      expect([read.headers.has('preference-applied'), await read.json()]).toEqual([false, { output: stat }]);
    },
  );

  it('a key is told hit or miss, quoted or bare, and a fingerprint does not depend on spelling or order', async () => {
    const { app, accepted } = completing();
    const first = await app.request('/compute/alps/jobs', jsonPost({ job }, { 'idempotency-key': '"k-1"' }));
    const repeat = await app.request('/compute/alps/jobs', jsonPost({ job }, { 'idempotency-key': 'k-1' }));
    expect([first, repeat].map((response) => response.headers.get('idempotency-key-reply'))).toEqual(['miss', 'hit']);
    const other = { script: job.script, working_directory: job.workingDirectory };
    await app.request('/compute/alps/jobs', jsonPost({ job: other }, { 'idempotency-key': 'k-2' }));
    await app.request('/compute/daint/jobs', jsonPost({ job }, { 'idempotency-key': 'k-3' }));
    const prints = accepted.map(({ fingerprint }) => fingerprint);
    expect(prints[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(prints[1]).toBe(prints[0]);
    expect(prints[2]).not.toBe(prints[0]);
  });

  it.each(['""', '"unclosed', 'a b', 'x'.repeat(256)])('the malformed key %s is refused', async (key) => {
    const response = await completing().app.request(
      '/compute/alps/jobs',
      jsonPost({ job }, { 'idempotency-key': key }),
    );
    expect((await problemOf(response)).data.fields[0]).toMatchObject({ location: 'header', name: 'Idempotency-Key' });
  });
});

it.each(errorCodes.filter((code) => [429, 503].includes(describeError(code).status)))(
  '%s says when to try again, alone and in a batch',
  async (code) => {
    const { gate } = createLocalGate(() => {
      throw new BrokerError(code, 'Not now.', { quota: 5 });
    });
    const app = createTestApp(gate);
    const submission = { operation: 'filesystem.ls', system: 'alps', input: { path: '/home' } };
    const response = await app.request('/tasks', jsonPost(submission));
    expect([response.status, response.headers.get('retry-after')]).toEqual([describeError(code).status, '2']);
    const [, policy] = /^"([a-z-]+)";q=5$/.exec(response.headers.get('ratelimit-policy') ?? '') ?? [];
    expect(policy?.replaceAll('-', '')).toBe(code.toLowerCase());
    expect(response.headers.get('ratelimit')).toBe(`"${policy}";r=0;t=2`);
    const batch = await (await app.request('/tasks/batch', jsonPost({ tasks: [submission] }))).json();
    expect(batch).toMatchObject({ refused: 1, items: [{ error: { code, retryAfterSeconds: 2 } }] });
  },
);

it('a store that does not answer is 503 in JSON with Retry-After, on both faces', async () => {
  const { gate } = createLocalGate(() => {
    throw new BrokerError('StoreUnavailable', 'The task store does not answer.');
  });
  const app = createTestApp(gate);
  const submission = { operation: 'filesystem.ls', system: 'alps', input: { path: '/home' } };
  for (const response of [
    await app.request('/filesystem/alps/ops/ls?path=/home', { headers: asAlice }),
    await app.request('/tasks', jsonPost(submission)),
  ]) {
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '2']);
    expect(await problemOf(response)).toMatchObject({ code: 'StoreUnavailable', retryable: true, fault: 'broker' });
  }
});

it('access is asked with the relation of the operation before the body is read', async () => {
  const asked: unknown[] = [];
  const { gate, accepted } = createLocalGate();
  const app = createTestApp(gate, {
    checkAccess: async (principal, relation, system) => {
      asked.push([principal.username, relation, system]);
      throw new BrokerError('Forbidden', 'You may not submit jobs on alps.');
    },
  });
  expect((await app.request('/compute/alps/jobs', jsonPost('{bad'))).status).toBe(403);
  expect([asked, accepted]).toEqual([[['alice', 'submit', 'alps']], []]);
});
