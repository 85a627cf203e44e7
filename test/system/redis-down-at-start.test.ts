/** What API and worker do when something they need is not as it must be at their start. */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { type Lab, startLab } from '../../lab/lab.ts';
import { plainEnvironment } from '../../lab/plain-environment.ts';
import { runCommand } from '../../lab/run-command.ts';
import { eventually } from '../eventually.ts';
import { type Broker, clientOf, locationOf, startBroker, taskEnd } from './broker-fixture.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/** API and worker by turns: both begin with the same code, and a start takes its time. */
const turns = { taken: 0 };
function nextProcess(): string {
  turns.taken += 1;
  return turns.taken % 2 === 0 ? 'dist/api/main.js' : 'dist/workers/main.js';
}

let lab: Lab;
let broker: Broker;

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 'oidc'], handlesSignals: false });
  await lab.redis.stop();
  broker = await startBroker(lab, { workers: 0, scheduler: 'process' });
}, 60_000);

afterAll(async () => {
  await broker?.stop();
  await lab?.stop();
}, 60_000);

/** Runs one of the processes to its end, at most a minute. */
function runToEnd(entry: string, configFile: string | undefined) {
  const child = spawn(process.execPath, [entry], {
    cwd: repository,
    env: { ...plainEnvironment(), ...(configFile === undefined ? {} : { GOLDCREST_CONFIG: configFile }) },
    timeout: 60_000,
  });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    said.stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    said.stderr += chunk.toString();
  });
  return new Promise<{ exitCode: number | null; stdout: string; stderr: string }>((resolve) => {
    child.once('close', (exitCode) => resolve({ exitCode, ...said }));
  });
}

/** The broker's own configuration with one thing changed, on a port of its own. */
function changedConfig(name: string, change: (config: Record<string, Record<string, unknown>>) => void): string {
  const config = parse(readFileSync(broker.configFile, 'utf8')) as Record<string, Record<string, unknown>>;
  config.goldcrest = { ...config.goldcrest, api: { host: '127.0.0.1', port: 0 } };
  change(config);
  const file = join(lab.folder, `${name}.yaml`);
  writeFileSync(file, stringify(config), { mode: 0o600 });
  return file;
}

it('with Redis away at start they answer 503 with Retry-After, and work once it is there', async () => {
  const client = await clientOf(lab.oidc, broker.url, 'alice');
  const worker = broker.addWorker();
  for (const path of [
    '/status/systems',
    '/filesystem/lab/ops/stat?path=/tmp',
    '/tasks/01900000-0000-7000-8000-000000000000',
  ]) {
    const answer = await client.get(path);
    expect(answer.status, answer.text).toBe(503);
    expect(answer.body).toMatchObject({ code: 'StoreUnavailable', retryable: true, fault: 'broker' });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  expect((await client.get('/readyz')).status).toBe(503);
  // What needs no Redis goes on: a balancer must not restart a process that an outage elsewhere has stopped.
  for (const path of ['/livez', '/status/liveness/', '/openapi.json', '/docs']) {
    expect((await client.get(path, { token: null })).status).toBe(200);
  }
  await lab.redis.start();
  await worker;
  await eventually(async () => expect((await client.get('/readyz')).status).toBe(200));
  // At the pace of every day, not at that of the net that catches what fell through.
  const startedAt = Date.now();
  for (let request = 0; request < 5; request += 1) {
    expect((await client.get('/filesystem/lab/ops/stat?path=/tmp')).status).toBe(200);
  }
  expect(Date.now() - startedAt).toBeLessThan(4_000);
  const task = await client.post('/tasks', { operation: 'filesystem.ls', system: 'lab', input: { path: '/tmp' } });
  expect((await taskEnd(client, locationOf(task))).state).toBe('completed');
});

describe('a Redis that would lose tasks', () => {
  const set = (name: string, value: string) =>
    runCommand('redis-cli', ['-p', String(lab.redis.port), 'CONFIG', 'SET', name, value]);

  it.each([
    ['appendfsync', 'everysec', 'always'],
    ['appendonly', 'no', 'yes'],
    ['maxmemory-policy', 'allkeys-lru', 'noeviction'],
  ])('%s %s is refused with exit code 78 and what to set', async (name, wrong, right) => {
    const configFile = changedConfig('durability', () => {});
    await set(name, wrong);
    try {
      const { exitCode, stdout } = await runToEnd(nextProcess(), configFile);
      expect(exitCode, stdout).toBe(78);
      const fatal = stdout.split('\n').find((line) => line.includes('"level":60')) ?? '{}';
      const { msg } = JSON.parse(fatal) as { msg?: string };
      expect(msg).toMatch(/^Redis would lose accepted tasks: /);
      expect(msg).toContain(`set \`${name} ${right}\``);
      expect(msg).toContain('require_durability');
    } finally {
      await set(name, right);
    }
  });
});

describe('a wrong configuration', () => {
  const wrong: [string, () => string | undefined, RegExp][] = [
    ['that does not exist', () => join(lab.folder, 'none.yaml'), /none\.yaml/],
    ['that is not named', () => undefined, /GOLDCREST_CONFIG/],
    [
      'that is no YAML',
      () => {
        const file = join(lab.folder, 'broken.yaml');
        writeFileSync(file, 'clusters: [\n  - {{');
        return file;
      },
      /broken\.yaml.*line|broken\.yaml:\d/s,
    ],
    [
      'with a key that is misspelled',
      () =>
        changedConfig('misspelled', ({ goldcrest }) => {
          Object.assign(goldcrest ?? {}, { redsi: {} });
        }),
      /redsi.*redis/s,
    ],
    [
      'without host keys',
      () =>
        changedConfig('hostkeys', ({ goldcrest }) => {
          Object.assign(goldcrest ?? {}, { systems: {} });
        }),
      /host_keys/,
    ],
    [
      'without an issuer and without Redis',
      () =>
        changedConfig('several', ({ goldcrest }) => {
          Object.assign(goldcrest ?? {}, { issuers: [{}], redis: {} });
        }),
      /issuer.*audience.*redis|redis.*issuer.*audience/s,
    ],
  ];

  it.each(wrong)('%s stops the start with one readable message', async (_title, makeFile, message) => {
    const end = await runToEnd(nextProcess(), makeFile());
    expect(end.exitCode, end.stderr).toBe(78);
    expect(end.stderr).toMatch(message);
    expect(end.stderr).not.toMatch(/\n\s+at .*:\d+:\d+|node:internal/);
    expect(end.stdout).toBe('');
  });
});
