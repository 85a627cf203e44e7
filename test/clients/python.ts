/** Runs the project's Python scripts with the clients that lab/install.sh installed, and takes up what they report. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { plainEnvironment } from '../../lab/plain-environment.ts';
import { runCommand } from '../../lab/run-command.ts';

export interface ScriptCase {
  /** The guarantee that it protects. */
  name: string;
  /** `METHOD /path` of a route that it needs beside those which are always there, or null. */
  route: string | null;
}

export interface CaseReport {
  /** A traceback, or null where the case passed. */
  failure: string | null;
  seconds: number;
}

export interface ScriptReport {
  cases: ReadonlyMap<string, CaseReport>;
  /** Methods of the client that the cases called. */
  called: readonly string[];
  /** All public ones that it has. */
  methods: readonly string[];
}

const here = fileURLToPath(new URL('.', import.meta.url));

/** A program of the environment. Throws where it is not installed: its tests then fail, they are not left out. */
export function pythonProgram(name: string): string {
  const lock = readFileSync(new URL('../../lab/python/requirements.txt', import.meta.url));
  const version = createHash('sha256').update(lock).digest('hex').slice(0, 16);
  const cache =
    process.env.GOLDCREST_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'goldcrest');
  const environment = join(cache, `python-${version}`);
  if (!existsSync(join(environment, 'complete'))) {
    throw new Error(`The Python clients are not installed at ${environment}: run lab/install.sh test`);
  }
  return join(environment, 'bin', name);
}

/** Without the bytecode cache, which would lie in the repository. */
export function pythonEnvironment(): Record<string, string> {
  return { ...plainEnvironment(), PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1' };
}

/** What a script of this folder can run. Told before the tests, so that each case is a test of its own. */
export function listCases(script: string): ScriptCase[] {
  const { status, stdout, stderr } = spawnSync(pythonProgram('python'), [join(here, script), '--list'], {
    env: pythonEnvironment(),
    encoding: 'utf8',
    timeout: 30_000,
  });
  if (status !== 0) throw new Error(`${script} --list: ${stderr}`);
  return JSON.parse(stdout) as ScriptCase[];
}

/** Runs a script to its end; the facts are handed over as JSON. A case without a report is a failure of the script. */
export async function runCases(script: string, facts: object, timeoutMs: number): Promise<ScriptReport> {
  const { stdout } = await runCommand(pythonProgram('python'), [join(here, script)], {
    env: pythonEnvironment(),
    input: JSON.stringify(facts),
    timeoutMs,
  });
  const cases = new Map<string, CaseReport>();
  const seen = { called: [] as string[], methods: [] as string[] };
  for (const line of stdout.split('\n').filter((text) => text !== '')) {
    const report = JSON.parse(line) as typeof seen | ({ name: string } & CaseReport);
    if ('called' in report) Object.assign(seen, report);
    else cases.set(report.name, report);
  }
  return { cases, ...seen };
}
