/**
 * Schemathesis from PyPI makes requests from our OpenAPI document, good and bad, the same ones in each run. Whatever it
 * sends, the answer is one that the document describes, and never a fault of the broker.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { requestToken } from '../../lab/oidc/token-client.ts';
import { userNamed } from '../../lab/users.ts';
import { type Broker, createClient, startBroker } from '../system/broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from '../system/home-directory.ts';
import { pythonEnvironment, pythonProgram } from './python.ts';

const lab = inject('lab');
/** For each operation, beside those at the edges of its schema. */
const examplesMax = 3;
/** With the token from its environment. That nothing but 401 comes back is a failure. */
const settings = [
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Schemathesis puts the variable in
  'headers = { Authorization = "Bearer ${TOKEN}" }',
  'warnings = { display = ["missing_auth"], fail-on = ["missing_auth"] }',
].join('\n');

/** A stream that has no end; it has tests of its own. */
const endless = '/events';

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

/** What it printed, all of it, also where it found something. */
async function runSchemathesis(args: string[], options: { cwd: string; env: Record<string, string> }) {
  const bounds = { timeout: 280_000, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 ** 2 } as const;
  try {
    const { stdout } = await promisify(execFile)(pythonProgram('schemathesis'), args, { ...options, ...bounds });
    return { stdout, failure: undefined };
  } catch (error) {
    const failure = error as Error & { stdout: string };
    return { stdout: failure.stdout, failure };
  }
}

it('every answer is one that the OpenAPI document describes, and no request makes the broker fail', async () => {
  const document = (await createClient(broker.url, '').get('/openapi.json', { token: null })).body;
  const items = Object.entries(document.paths as Record<string, object>).filter(([path]) => path !== endless);
  const operationsCount = items.flatMap(([, item]) => Object.keys(item)).length;
  const scratch = mkdtempSync(join(lab.folder, 'schemathesis-'));
  writeFileSync(join(scratch, 'schemathesis.toml'), settings);
  const { stdout, failure } = await runSchemathesis(
    [
      ...['run', `${broker.url}/openapi.json`, '--no-color', '--continue-on-failure'],
      ...['--phases', 'coverage,fuzzing', '--max-examples', String(examplesMax), '--generation-deterministic'],
      // What a schema cannot say, a path that must be absolute or a job that must exist, is refused with 4xx.
      ...['--exclude-checks', 'positive_data_acceptance', '--exclude-path', endless],
    ],
    { cwd: scratch, env: { ...pythonEnvironment(), TOKEN: await requestToken(lab.oidc, 'alice') } },
  );
  if (failure !== undefined) expect.fail(`${failure.message}\n${stdout}`);
  expect(stdout).toContain(`Tested: ${operationsCount}\n`);
  expect(stdout).toMatch(/(\d{3,}) generated, \1 passed/);
});
