/** The authorization model and the checker, on a real OpenFGA server. */
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { createLabFolder, reapLab } from '../../lab/lab-folder.ts';
import { startOpenFga } from '../../lab/parts/openfga.ts';
import {
  networksMax,
  pathLimitsMax,
  presets,
  systemRelations,
} from '../../shared/authorization/authorization-model.ts';
import { createOpenFgaAccess } from '../../shared/authorization/openfga-access.ts';
import type { Relation } from '../../shared/operations/operation.ts';
import { Secret } from '../../shared/platform/secret.ts';
import type { Principal } from '../../shared/tasks/task.ts';
import { startCountingRelay } from './counting-relay.ts';
import { createStore, type OpenFgaStore, openFgaSettings } from './openfga-fixture.ts';

const lab = inject('lab');
let store: OpenFgaStore;
let number = 0;
let nowMs = Date.now();

beforeAll(async () => {
  store = await createStore(lab.openfga);
});

const fresh = (name: string) => `${name}${++number}`;
const user = (username: string): Principal => ({ issuer: 'i', subject: `sub-${username}`, username, client: 'portal' });
const program = (client: string): Principal => ({ issuer: 'i', subject: client, username: 'svc', client });

function accessOf(cacheMs = 0) {
  return createOpenFgaAccess({
    ...openFgaSettings(lab.openfga),
    storeId: store.storeId,
    cacheMs,
    now: () => nowMs,
  });
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'allowed',
    ({ code }: { code: string }) => code,
  );

/** The relations that the principal has on the system. */
async function relationsOf(principal: Principal, system: string, address = '192.0.2.1'): Promise<Relation[]> {
  const { checkAccess } = accessOf();
  const codes = await Promise.all(systemRelations.map((name) => codeOf(checkAccess(principal, name, system, address))));
  return systemRelations.filter((_name, at) => codes[at] === 'allowed');
}

describe('the model', () => {
  it.each(systemRelations)('%s alone brings that and the sight of the system', async (relation) => {
    const [name, system] = [fresh('u'), fresh('s')];
    await store.grant(`user:${name}`, relation, `system:${system}`);
    const wanted = relation === 'administer' ? systemRelations : ['view_status', relation];
    expect(new Set(await relationsOf(user(name), system))).toEqual(new Set(wanted));
  });

  it.each(Object.entries(presets))('%s brings its relations and no others', async (preset, { relations }) => {
    const [name, system] = [fresh('c'), fresh('s')];
    await store.grant(`service_client:${name}`, preset, `system:${system}`, {});
    expect(new Set(await relationsOf(program(name), system))).toEqual(new Set(['view_status', ...relations]));
  });

  it('gives nothing on another system, to another user, or without a grant', async () => {
    const [name, system] = [fresh('u'), fresh('s')];
    await store.grant(`user:${name}`, 'administer', `system:${system}`);
    expect(await relationsOf(user(name), fresh('s'))).toEqual([]);
    expect(await relationsOf(user(fresh('u')), system)).toEqual([]);
  });

  it('gives members of groups and projects, and of groups in them, what those have', async () => {
    const [name, system, group, project] = [fresh('u'), fresh('s'), fresh('g'), fresh('p')];
    await store.grant(`user:${name}`, 'member', `group:${group}`);
    await store.grant(`group:${group}#member`, 'member', `project:${project}`);
    await store.grant(`project:${project}#member`, 'submit', `system:${system}`);
    expect(await relationsOf(user(name), system)).toEqual(['view_status', 'submit']);
  });

  it('tells a program from the user whose name it bears: each has its own grants alone', async () => {
    const system = fresh('s');
    await store.grant('user:svc', 'submit', `system:${system}`);
    await store.grant('service_client:ci', 'preset_read', `system:${system}`, {});
    expect(await relationsOf(program('ci'), system)).toEqual(['view_status', 'read_files']);
    expect(await relationsOf(user('svc'), system)).toEqual(['view_status', 'submit']);
  });

  it('has no grant without limits for a program', async () => {
    await expect(store.grant('service_client:x', 'preset_read', 'system:s')).rejects.toThrow();
  });
});

describe('limits of a grant', () => {
  it('end it at their time, to the second', async () => {
    const [name, system] = [fresh('u'), fresh('s')];
    const end = Date.parse('2030-01-01T00:00:00Z');
    await store.grant(`user:${name}`, 'submit', `system:${system}`, { until: new Date(end).toISOString() });
    const { checkAccess } = accessOf();
    const codes: string[] = [];
    for (nowMs of [end - 1_000, end, end + 1_000]) codes.push(await codeOf(checkAccess(user(name), 'submit', system)));
    nowMs = Date.now();
    expect(codes).toEqual(['allowed', 'Forbidden', 'Forbidden']);
  });

  it('hold it to their networks, and an address that is not known is in none', async () => {
    const [name, system] = [fresh('u'), fresh('s')];
    const networks = ['198.51.100.0/24', '2001:db8::/32'];
    await store.grant(`user:${name}`, 'submit', `system:${system}`, { networks });
    const { checkAccess } = accessOf();
    const from = (address?: string) => codeOf(checkAccess(user(name), 'submit', system, address));
    expect(await Promise.all(['198.51.100.9', '2001:db8::1'].map(from))).toEqual(['allowed', 'allowed']);
    expect(await Promise.all(['198.51.101.9', '::1', undefined].map(from))).toEqual(Array(3).fill('Forbidden'));
  });

  it('of as many networks as a grant may have are still answered', async () => {
    const [name, system] = [fresh('u'), fresh('s')];
    const networks = Array.from({ length: networksMax }, (_, at) => `2001:db8:${at}::/48`);
    await store.grant(`user:${name}`, 'submit', `system:${system}`, { networks });
    expect(await codeOf(accessOf().checkAccess(user(name), 'submit', system, '2001:db8:0::1'))).toBe('allowed');
    expect(await codeOf(accessOf().checkAccess(user(name), 'submit', system, '2001:db8:ffff::1'))).toBe('Forbidden');
  });

  it('count for the list of systems too', async () => {
    const [name, open, near] = [fresh('u'), fresh('s'), fresh('s')];
    await store.grant(`user:${name}`, 'read_files', `system:${open}`);
    await store.grant(`user:${name}`, 'view_status', `system:${near}`, { networks: ['198.51.100.0/24'] });
    const { findVisible } = accessOf();
    expect(await findVisible(user(name), '198.51.100.1')).toEqual(new Set([open, near]));
    expect(await findVisible(user(name), '203.0.113.1')).toEqual(new Set([open]));
    expect(await findVisible(user(fresh('u')), '198.51.100.1')).toEqual(new Set());
  });
});

describe('a grant for directories', () => {
  const codesOf = async (name: string, system: string, paths: readonly (readonly string[])[]) => {
    const { checkPaths } = accessOf();
    return Promise.all(paths.map((some) => codeOf(checkPaths(user(name), 'read_files', system, some, '198.51.100.1'))));
  };

  it('reaches what lies in one of them, all of what is asked for, and nothing that has no path', async () => {
    const [name, system] = [fresh('u'), fresh('s')];
    const path_prefixes = ['/scratch/a/', '/store/b c/'];
    await store.grant(`user:${name}`, 'preset_transfer', `system:${system}`, { path_prefixes });
    const inside = [['/scratch/a'], ['/scratch/a/x/y'], ['/store/b c/é', '/scratch/a/']];
    expect(await codesOf(name, system, inside)).toEqual(inside.map(() => 'allowed'));
    const outside = [['/scratch/ab'], ['/scratch'], ['/'], ['/scratch/a/x', '/store/b'], ['scratch/a'], [''], []];
    expect(await codesOf(name, system, outside)).toEqual(outside.map(() => 'Forbidden'));
    expect(await relationsOf(user(name), system)).toEqual(['view_status', 'read_files', 'write_files', 'transfer']);
  });

  it('holds its other limits too, and another grant for the whole system is what it says', async () => {
    const [name, system, near] = [fresh('u'), fresh('s'), ['198.51.100.0/24']];
    await store.grant(`user:${name}`, 'read_files', `system:${system}`, { path_prefixes: ['/a/'], networks: near });
    expect(await codesOf(name, system, [['/a/x'], ['/b']])).toEqual(['allowed', 'Forbidden']);
    expect(await codeOf(accessOf().checkPaths(user(name), 'read_files', system, ['/a/x'], '203.0.113.1'))).toBe(
      'Forbidden',
    );
    await store.grant(`user:${name}`, 'preset_full', `system:${system}`);
    expect(await codesOf(name, system, [['/b'], []])).toEqual(['allowed', 'allowed']);
  });

  it('of the greatest size that the program takes is still answered', async () => {
    const [name, system] = [fresh('u'), fresh('s')];
    const { networks: nets, paths, chars } = pathLimitsMax;
    const networks = [...Array.from({ length: nets - 1 }, (_, at) => `2001:db8:${at}::/48`), '198.51.100.0/24'];
    const path_prefixes = Array.from({ length: paths }, (_, at) => `/${at}`.padEnd(chars / paths - 1, 'x').concat('/'));
    await store.grant(`user:${name}`, 'read_files', `system:${system}`, { networks, path_prefixes });
    const last = `${path_prefixes.at(-1)}${'y'.repeat(3_500)}`;
    expect(await codesOf(name, system, [[last], ['/elsewhere']])).toEqual(['allowed', 'Forbidden']);
  });

  it('cannot be given for what would let a program loose on the system', async () => {
    for (const relation of ['submit', 'cancel', 'administer', 'preset_submit', 'preset_full']) {
      const grant = store.grant(`user:${fresh('u')}`, relation, 'system:s', { path_prefixes: ['/a/'] });
      await expect(grant, relation).rejects.toThrow();
    }
  });
});

describe('what is somebody else’s', () => {
  it('is seen by its viewers and by who administers its system or the broker; canceled by these alone', async () => {
    const [viewer, ofSystem, ofBroker, nobody] = [fresh('u'), fresh('u'), fresh('u'), fresh('u')];
    const [system, group, id] = [fresh('s'), fresh('g'), fresh('t')];
    await store.grant(`user:${viewer}`, 'member', `group:${group}`);
    await store.grant(`group:${group}#member`, 'viewer', `task:${id}`);
    await store.grant(`user:${ofSystem}`, 'administer', `system:${system}`, {});
    await store.grant(`user:${ofBroker}`, 'administer', 'broker:goldcrest');
    const { mayOnOthers } = accessOf();
    const on = async (relation: 'view' | 'cancel', place: string | null) =>
      Promise.all(
        [viewer, ofSystem, ofBroker, nobody].map((name) =>
          mayOnOthers(user(name), relation, { type: 'task', id, system: place }, '192.0.2.1'),
        ),
      );
    expect(await on('view', system)).toEqual([true, true, true, false]);
    expect(await on('cancel', system)).toEqual([false, true, true, false]);
    expect(await on('view', fresh('s'))).toEqual([true, false, true, false]);
    expect(await on('cancel', null)).toEqual([false, false, true, false]);
    await store.grant(`user:${viewer}`, 'viewer', 'webhook:wh_1');
    const hooks = [viewer, ofSystem, ofBroker].map((name) =>
      mayOnOthers(user(name), 'view', { type: 'webhook', id: 'wh_1' }),
    );
    expect(await Promise.all(hooks)).toEqual([true, false, true]);
  });
});

describe('several questions at once', () => {
  it('travel in one request, each with its own answer, and the same one once', async () => {
    const relay = await startCountingRelay(lab.openfga.apiUrl);
    try {
      const [name, system] = [fresh('u'), fresh('s')];
      await store.grant(`user:${name}`, 'preset_submit', `system:${system}`);
      const { checkAccess, checkPaths } = createOpenFgaAccess({
        ...openFgaSettings(lab.openfga),
        ...{ url: relay.url, storeId: store.storeId, cacheMs: 0 },
      });
      const asked = [...systemRelations, ...systemRelations].map((relation) =>
        codeOf(checkAccess(user(name), relation, system)),
      );
      const may: readonly string[] = ['view_status', ...presets.preset_submit.relations];
      const expected = systemRelations.map((relation) => (may.includes(relation) ? 'allowed' : 'Forbidden'));
      expect(await Promise.all(asked)).toEqual([...expected, ...expected]);
      expect(relay.counts).toEqual({ 'batch-check': 1 });
      const many = Array.from({ length: 120 }, (_, at) => codeOf(checkAccess(user(name), 'submit', `${system}-${at}`)));
      expect(new Set(await Promise.all(many))).toEqual(new Set(['Forbidden']));
      expect(relay.counts).toEqual({ 'batch-check': 4 });
      expect(await codeOf(checkAccess(user(name), 'submit', system))).toBe('allowed');
      expect(await codeOf(checkPaths(user(name), 'submit', system, []))).toBe('allowed');
      expect(relay.counts).toEqual({ 'batch-check': 4, check: 1 });
    } finally {
      await relay.close();
    }
  });
});

describe('the broker itself', () => {
  it('is administered by whom it was granted to, and else open for what is one’s own', async () => {
    const name = fresh('u');
    await store.grant(`user:${name}`, 'administer', 'broker:goldcrest');
    const { checkAccess } = accessOf();
    expect(await codeOf(checkAccess(user(name), 'administer', null))).toBe('allowed');
    expect(await codeOf(checkAccess(user(fresh('u')), 'administer', null))).toBe('Forbidden');
    expect(await codeOf(checkAccess(user(fresh('u')), 'view_status', null))).toBe('allowed');
  });
});

describe('what is remembered', () => {
  it('is a permission for the time configured and a refusal for a second, by user, system, relation and address', async () => {
    const [name, system] = [fresh('u'), fresh('s')];
    const { checkAccess } = accessOf(10_000);
    const ask = (relation: Relation = 'submit', address = '192.0.2.1') =>
      codeOf(checkAccess(user(name), relation, system, address));
    nowMs = Date.now();
    expect(await ask()).toBe('Forbidden');
    await store.grant(`user:${name}`, 'submit', `system:${system}`);
    expect([await ask(), await ask('submit', '192.0.2.2')]).toEqual(['Forbidden', 'allowed']);
    nowMs += 1_000;
    expect(await ask()).toBe('allowed');
    await store.revoke(`user:${name}`, 'submit', `system:${system}`);
    expect([await ask(), await ask('cancel')]).toEqual(['allowed', 'Forbidden']);
    nowMs += 9_999;
    expect(await ask()).toBe('allowed');
    nowMs += 1;
    expect(await ask()).toBe('Forbidden');
  });
});

describe('without an answer', () => {
  it('nobody is let in, whatever is wrong, and nothing of it is remembered', async () => {
    const folder = createLabFolder();
    const server = await startOpenFga(folder);
    try {
      const own = await createStore(server);
      await own.grant('user:u', 'submit', 'system:s');
      const settings = { ...openFgaSettings(server), timeoutMs: 300, storeId: own.storeId, cacheMs: 0 };
      const ask = (change: Partial<typeof settings> = {}) =>
        codeOf(createOpenFgaAccess({ ...settings, ...change }).checkAccess(user('u'), 'submit', 's'));
      expect(await ask({ timeoutMs: 10_000 })).toBe('allowed');
      const refusals = [
        { apiToken: new Secret('another-key') },
        { storeId: '01ARZ3NDEKTSV4RRFFQ69G5FAV' },
        { modelId: null, url: `${server.apiUrl}/elsewhere` },
      ];
      for (const change of refusals)
        expect(await ask({ ...change, timeoutMs: 10_000 })).toBe('AuthorizationUnavailable');
      server.pause();
      const access = createOpenFgaAccess(settings);
      // A process that is told to stop may answer once more.
      await expect
        .poll(() => codeOf(access.checkAccess(user('u'), 'submit', 's')), { timeout: 30_000 })
        .toBe('AuthorizationUnavailable');
      expect(await codeOf(access.findVisible(user('u')))).toBe('AuthorizationUnavailable');
      server.resume();
      await expect
        .poll(() => codeOf(access.checkAccess(user('u'), 'submit', 's')), { timeout: 30_000 })
        .toBe('allowed');
      await server.stop();
      expect(await ask()).toBe('AuthorizationUnavailable');
    } finally {
      await server.stop();
      reapLab(folder);
    }
  });
});
