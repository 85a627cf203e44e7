/** Which requests a broken service refuses, and with which words. */
import { describe, expect, it } from 'vitest';
import { createRequireHealthy } from '../../api/health/require-healthy.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { parseSystemHealth, type ServiceHealth, type SystemHealth } from '../../shared/health/system-health.ts';
import { findOperation } from '../../shared/operations/registry.ts';
import { asAlice, createLocalGate, createTestApp, jsonPost } from './api-fixture.ts';

const since = Date.parse('2026-01-02T03:00:00Z');

function broken(service: ServiceHealth['service'], path: string | null = null): SystemHealth {
  const entry = { service, path, isHealthy: false, since, checkedAt: since, latencyMs: 4, message: 'it said no' };
  return { services: [{ ...entry, service: 'ssh', path: null, isHealthy: true }, entry], exception: null };
}

const fileSystems = ['/', '/home', '/home/scratch'].map((path) => ({
  path,
  dataType: 'users' as const,
  defaultWorkDir: false,
}));
const dataOperation = { maxOpsFileSizeBytes: 1, jobDirectives: [], dataTransfer: null };
const daint = { name: 'daint', fileSystems, dataOperation };

function refusalOf(health: SystemHealth | undefined, name: string, input: Record<string, unknown> = {}): string | null {
  const operation = findOperation(name);
  if (operation === undefined) throw new Error(name);
  try {
    createRequireHealthy(() => health, 5_000)(operation, daint, input);
    return null;
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== 'ServiceUnhealthy') throw error;
    expect(error.retryAfterSeconds).toBe(5);
    return error.message;
  }
}

describe('a broken service', () => {
  it('refuses in FirecREST’s words, and says since when and why', () => {
    expect(refusalOf(broken('scheduler'), 'compute.list-jobs')).toBe(
      'The scheduler service for the requested system (daint) is unhealthy. It has been since 2026-01-02T03:00:00.000Z. Last error: it said no',
    );
    expect(refusalOf(broken('filesystem', '/home'), 'filesystem.stat', { path: '/home/x' })).toMatch(
      /^The requested filesystem \(\/home on daint\) is unhealthy\. /,
    );
  });

  it.each([
    ['ssh', 'filesystem.stat', true],
    ['ssh', 'compute.submit-job', true],
    ['ssh', 'status.userinfo', true],
    ['scheduler', 'compute.submit-job', true],
    ['scheduler', 'status.nodes', true],
    ['scheduler', 'filesystem.stat', false],
    ['scheduler', 'status.userinfo', false],
    ['s3', 'filesystem.stat', false],
    ['s3', 'compute.submit-job', false],
  ] as const)('%s: is %s refused? %s', (service, operation, isRefused) => {
    expect(refusalOf(broken(service), operation, { path: '/home/x' }) !== null).toBe(isRefused);
  });
});

describe('a broken file system', () => {
  it.each([
    ['/home', '/home', true],
    ['/home', '/home/', true],
    ['/home', '/home/alice/x', true],
    ['/home', '/homes/x', false],
    ['/home', '/home/scratch/x', false],
    ['/home', '/etc', false],
    ['/home/scratch', '/home/scratch/x', true],
    ['/home/scratch', '/home/x', false],
    ['/', '/etc', true],
    ['/', '/home/x', false],
  ])('%s: is %s refused? %s', (root, path, isRefused) => {
    expect(refusalOf(broken('filesystem', root), 'filesystem.ls', { path }) !== null).toBe(isRefused);
  });

  it('refuses where only the target lies in it', () => {
    const input = { path: '/etc/x', targetPath: '/home/x.tgz' };
    expect(refusalOf(broken('filesystem', '/home'), 'filesystem.compress', input)).not.toBeNull();
    expect(refusalOf(broken('filesystem', '/home/scratch'), 'filesystem.compress', input)).toBeNull();
  });
});

describe('what is not known', () => {
  it('refuses nothing: no record, an exception of the probes, a record that cannot be read', () => {
    const exception = { services: [], exception: { at: since, message: 'the token issuer does not answer' } };
    for (const health of [undefined, exception]) expect(refusalOf(health, 'compute.list-jobs')).toBeNull();
    for (const text of [null, '', '{', '{}', '{"services":[{"service":"ssh"}]}', 'null']) {
      expect(parseSystemHealth(text)).toBeNull();
    }
  });

  it('refuses nothing of an operation that runs on no system', () => {
    const operation = findOperation('status.systems');
    if (operation) createRequireHealthy(() => broken('ssh'), 5_000)(operation, null, {});
  });
});

describe('both faces', () => {
  const { gate, accepted } = createLocalGate();
  const find = (system: string) => (system === 'daint' ? broken('ssh') : undefined);
  const app = createTestApp(gate, { requireHealthy: createRequireHealthy(find, 5_000) });

  it('answer 503 with Retry-After before anything is accepted, and serve the other system', async () => {
    const task = { operation: 'filesystem.stat', input: { path: '/home/x' } };
    const answers = await Promise.all([
      app.request('/filesystem/daint/ops/stat?path=/home/x', { headers: asAlice }),
      app.request('/tasks', jsonPost({ ...task, system: 'daint' })),
    ]);
    for (const answer of answers) {
      expect(answer.status).toBe(503);
      expect(answer.headers.get('retry-after')).toBe('5');
      expect(await answer.json()).toMatchObject({ code: 'ServiceUnhealthy', retryable: true, fault: 'cluster' });
    }
    expect(accepted).toEqual([]);
    expect((await app.request('/tasks', jsonPost({ ...task, system: 'alps' }))).status).toBe(202);
  });

  it('say what is wrong with a request first, since no recovery would mend it', async () => {
    const answer = await app.request('/filesystem/daint/ops/stat?path=/etc/x', { headers: asAlice });
    expect(answer.status).toBe(400);
  });
});
