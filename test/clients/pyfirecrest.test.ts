/** pyfirecrest from PyPI, unmodified: every method of its two clients and every subcommand of its program. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, inject } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import type { Broker } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { startClientBroker } from './client-broker.ts';
import { testScript } from './script-tests.ts';

const lab = inject('lab');
let broker: Broker;
let foreign: OwnDirectory;

beforeAll(async () => {
  broker = await startClientBroker();
  foreign = homeDirectory(userNamed(lab.users, 'bob'));
  writeFileSync(join(foreign.path, 'secret'), 'x', { mode: 0o600 });
  foreign.giveAway();
});

afterAll(async () => {
  await broker?.stop();
  foreign?.remove();
});

for (const client of ['Firecrest', 'AsyncFirecrest']) {
  testScript({
    title: client,
    script: 'python/pyfirecrest_methods.py',
    broker: () => broker,
    facts: () => ({ client, foreign_file: join(foreign.path, 'secret') }),
    notAboutTheApi: [
      'close_session',
      'create_new_session',
      'is_session_closed',
      'log',
      'set_api_version',
      'set_maximum_s3_connections',
    ],
  });
}

/** Enough for several parts; more by hand, as 1024. It needs four times as much of the disk. */
const largeMib = Number(process.env.GOLDCREST_LARGE_FILE_MIB ?? 64);
/** Of a machine that does other things besides. */
const msPerMib = 150;
testScript({
  title: `Firecrest with a file of ${largeMib} MiB`,
  script: 'python/pyfirecrest_large.py',
  broker: () => broker,
  facts: () => ({ client: 'Firecrest', large_mib: largeMib }),
  caseTimeoutMs: 240_000 + largeMib * msPerMib,
});

testScript({ title: 'the firecrest program', script: 'python/pyfirecrest_program.py', broker: () => broker });
