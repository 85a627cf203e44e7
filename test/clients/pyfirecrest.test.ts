/** pyfirecrest from PyPI, unmodified: every method of its two clients, each case a test of its own. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { type Broker, startBroker } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { isBuilt, scriptFacts } from './ground.ts';
import { listCases, runCases, type ScriptReport } from './python.ts';

const script = 'pyfirecrest/methods.py';
const all = listCases(script);
const cases = all.filter(isBuilt);
/** A case's name begins with the methods that it is about. */
const notBuilt = all.filter((each) => !isBuilt(each)).flatMap(({ name }) => name.split(':')[0]?.split(' and ') ?? []);
const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const bob = userNamed(lab.users, 'bob');
/** Public, and about the session of the client, not about the API. */
const aboutTheSession = [
  'close_session',
  'create_new_session',
  'is_session_closed',
  'log',
  'set_api_version',
  'set_maximum_s3_connections',
];

let broker: Broker;
let foreign: OwnDirectory;

beforeAll(async () => {
  broker = await startBroker(lab, { fileSystems: [{ path: '/home', data_type: 'users', default_work_dir: true }] });
  foreign = homeDirectory(bob);
  writeFileSync(join(foreign.path, 'secret'), 'x', { mode: 0o600 });
  foreign.giveAway();
});

afterAll(async () => {
  await broker?.stop();
  foreign?.remove();
});

describe.each(['Firecrest', 'AsyncFirecrest'])('%s', (client) => {
  let own: OwnDirectory;
  let report: ScriptReport;

  beforeAll(async () => {
    own = homeDirectory(alice);
    const facts = scriptFacts(lab, broker, own, 'alice');
    const foreignFile = join(foreign.path, 'secret');
    const names = cases.map(({ name }) => name);
    report = await runCases(script, { ...facts, client, cases: names, foreign_file: foreignFile }, 110_000);
  });

  afterAll(() => own?.remove());

  it.each(cases)('$name', ({ name }) => {
    const result = report.cases.get(name);
    expect(result, 'the script did not report').toBeDefined();
    if (result?.failure != null) expect.fail(result.failure);
  });

  it('the cases call every public method of the client', () => {
    const excused = [...aboutTheSession, ...report.called, ...notBuilt];
    expect(report.methods.length).toBeGreaterThan(30);
    expect(report.methods.filter((method) => !excused.includes(method))).toEqual([]);
  });
});
