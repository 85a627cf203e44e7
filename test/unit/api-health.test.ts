/** GET /health/systems: what the probes found, for those who may see the system. */
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { SystemHealth } from '../../shared/health/system-health.ts';
import { asAlice, createLocalGate, createTestApp, nowMs } from './api-fixture.ts';

const health: SystemHealth = {
  services: [
    { service: 'ssh', path: null, isHealthy: true, since: nowMs, checkedAt: nowMs, latencyMs: 12, message: null },
    {
      ...{ service: 'filesystem', path: '/home', isHealthy: false, since: nowMs - 1, checkedAt: nowMs, latencyMs: 3 },
      message: 'gone',
    },
  ],
  exception: null,
};
const asked: [string, string, number][] = [];
const app = createTestApp(createLocalGate().gate, {
  health: {
    read: async (systems) =>
      new Map(systems.map((name) => [name, { health: name === 'daint' ? health : null, isProbed: name === 'daint' }])),
    history: async (system, key, countMax) => {
      asked.push([system, key, countMax]);
      return [{ at: nowMs, isHealthy: key === 'ssh', latencyMs: 3, message: key === 'ssh' ? null : 'gone' }];
    },
  },
  findVisible: async ({ username }) => (username === 'bob' ? new Set(['alps']) : null),
  checkAccess: async (principal, relation, system) => {
    expect(relation).toBe('view_status');
    if (principal.username === 'bob' && system === 'daint') throw new BrokerError('Forbidden', 'Not allowed');
  },
});
const get = (path: string, headers: Record<string, string> = asAlice) => app.request(path, { headers });
const asBob = { authorization: 'Bearer bob' };

describe('the list', () => {
  it('has every system with its services, known or not', async () => {
    const answer = await get('/health/systems');
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      systems: [
        { system: 'alps', probed: false, exception: null, services: [] },
        {
          system: 'daint',
          probed: true,
          exception: null,
          services: [
            {
              ...{ service: 'ssh', path: null, healthy: true, latencyMs: 12, message: null },
              ...{ since: '2026-01-02T03:04:05.250Z', lastChecked: '2026-01-02T03:04:05.250Z' },
            },
            {
              ...{ service: 'filesystem', path: '/home', healthy: false, latencyMs: 3, message: 'gone' },
              ...{ since: '2026-01-02T03:04:05.249Z', lastChecked: '2026-01-02T03:04:05.250Z' },
            },
          ],
        },
      ],
    });
  });

  it('leaves out systems that the caller may not see', async () => {
    const { systems } = (await (await get('/health/systems', asBob)).json()) as { systems: { system: string }[] };
    expect(systems.map(({ system }) => system)).toEqual(['alps']);
  });
});

describe('one system', () => {
  it('is shown with the probes of each service, as many as asked for', async () => {
    const answer = await get('/health/systems/Daint?history=7');
    expect(await answer.json()).toMatchObject({
      system: 'daint',
      services: [
        { service: 'ssh', history: [{ at: '2026-01-02T03:04:05.250Z', healthy: true, latencyMs: 3, message: null }] },
        { service: 'filesystem', history: [{ healthy: false, message: 'gone' }] },
      ],
    });
    expect(asked.splice(0)).toEqual([
      ['daint', 'ssh', 7],
      ['daint', 'filesystem:/home', 7],
    ]);
    expect((await get('/health/systems/daint')).status).toBe(200);
    expect(asked.splice(0)[0]?.[2]).toBe(100);
    expect((await get('/health/systems/daint?history=0')).status).toBe(200);
    expect(asked).toEqual([]);
  });

  it.each<[string, Record<string, string>, number]>([
    ['/health/systems', {}, 401],
    ['/health/systems/daint', {}, 401],
    ['/health/systems/daint', asBob, 403],
    ['/health/systems/nosuch', asAlice, 404],
    ['/health/systems/daint?history=x', asAlice, 400],
    ['/health/systems/daint?history=-1', asAlice, 400],
    ['/health/systems/daint?history=1501', asAlice, 400],
    ['/health/systems/daint?history=1.5', asAlice, 400],
  ])('%s with %j is %i', async (path, headers, status) => {
    expect((await get(path, headers)).status).toBe(status);
  });
});
