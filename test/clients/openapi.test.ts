/**
 * Schemathesis from PyPI makes requests from our OpenAPI document, good and bad, the same ones in each run. Whatever it
 * sends, the answer is one that the document describes, and never a fault of the broker.
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { runCommand } from '../../lab/run-command.ts';
import { userNamed } from '../../lab/users.ts';
import { type Broker, createClient, startBroker } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { pythonEnvironment, pythonProgram } from './python.ts';

const lab = inject('lab');
/** For each operation, beside those at the edges of its schema. */
const examplesMax = 3;

let broker: Broker;
let own: OwnDirectory;

beforeAll(async () => {
  // It removes and changes what it comes upon: it shall see nothing but a directory of its own.
  own = homeDirectory(userNamed(lab.users, 'alice'));
  broker = await startBroker(lab, { fileSystems: [{ path: own.path, data_type: 'users', default_work_dir: true }] });
});

afterAll(async () => {
  await broker?.stop();
  own?.remove();
});

it('every answer is one that the OpenAPI document describes, and no request makes the broker fail', async () => {
  const document = (await createClient(broker.url, '').get('/openapi.json', { token: null })).body;
  const items = Object.values(document.paths as Record<string, object>);
  const operationsCount = items.flatMap((item) => Object.keys(item)).length;
  const { stdout } = await runCommand(
    pythonProgram('schemathesis'),
    [
      'run',
      `${broker.url}/openapi.json`,
      '--no-color',
      ...['--header', `Authorization: Bearer ${await requestToken(lab.oidc, 'alice')}`],
      ...['--phases', 'coverage,fuzzing', '--max-examples', String(examplesMax), '--generation-deterministic'],
      ...['--continue-on-failure', '--warnings', 'off', '--output-truncate', 'false'],
      // What a schema cannot say, a path that must be absolute or a job that must exist, is refused with 4xx.
      ...['--exclude-checks', 'positive_data_acceptance'],
    ],
    { env: pythonEnvironment(), cwd: mkdtempSync(join(lab.folder, 'schemathesis-')), timeoutMs: 280_000 },
  );
  expect(stdout).toContain(`Tested: ${operationsCount}\n`);
  expect(stdout).toMatch(/(\d{3,}) generated, \1 passed/);
});
