/** `goldcrest authz` as operators run it, on a real OpenFGA server. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { runAuthz } from '../../cli/authz.ts';
import { runCommand } from '../../lab/run-command.ts';

const lab = inject('lab');
const folder = mkdtempSync(join(tmpdir(), 'gc-authz-'));
const tokenFile = join(folder, 'token');
const inAWeek = new Date(Date.now() + 7 * 86_400_000).toISOString();
let at: string[];

interface Ran {
  status: number | null;
  out: string;
  err: string;
}

async function run([area = '', ...words]: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  expect(area).toBe('authz');
  const ran: Ran = { status: null, out: '', err: '' };
  const status = await runAuthz(words, {
    env,
    print: (line) => {
      ran.out += `${line}\n`;
    },
    complain: (line) => {
      ran.err += `${line}\n`;
    },
  });
  return { ...ran, status };
}

/** The program itself, in a process of its own. */
function runProgram(...args: string[]): Promise<Ran> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'cli/main.ts', ...args], {
    env: { PATH: process.env.PATH },
    timeout: 50_000,
  });
  const ran: Ran = { status: null, out: '', err: '' };
  child.stdout.on('data', (data) => {
    ran.out += data;
  });
  child.stderr.on('data', (data) => {
    ran.err += data;
  });
  return new Promise((resolve) => child.on('close', (status) => resolve({ ...ran, status })));
}

const authz = (...args: string[]) => run(['authz', ...args, ...at]);

beforeAll(async () => {
  writeFileSync(tokenFile, `${lab.openfga.apiToken}\n`);
  at = ['--url', lab.openfga.apiUrl, '--token-file', tokenFile];
  const { out, status } = await authz('model', 'push', '--new-store', 'cli');
  const store = /^store_id: (\w+)\nmodel_id: \w+\n$/.exec(out)?.[1];
  expect([status, store]).toEqual([0, expect.any(String)]);
  at = [...at, '--store', store ?? ''];
});

afterAll(() => rmSync(folder, { recursive: true }));

describe('the store', () => {
  it('keeps a grant until it is revoked, and the status of a check says which', async () => {
    const grant = ['user:alice', 'submit', 'system:Daint'];
    expect(await authz('check', ...grant)).toEqual({ status: 1, out: 'not allowed\n', err: '' });
    expect(await authz('grant', ...grant)).toMatchObject({
      status: 0,
      out: 'granted: user:alice submit system:daint\n',
    });
    expect(await authz('check', ...grant)).toEqual({ status: 0, out: 'allowed\n', err: '' });
    expect(await authz('list', '--subject', 'user:alice')).toEqual({
      status: 0,
      out: 'user:alice submit system:daint\n',
      err: '',
    });
    expect(await authz('revoke', ...grant)).toMatchObject({ status: 0 });
    expect(await authz('check', ...grant)).toMatchObject({ status: 1 });
    expect(await authz('revoke', ...grant)).toMatchObject({ status: 3, err: expect.stringContaining('answered 400') });
  });

  it('keeps the limits of a program’s grant', async () => {
    const grant = ['service_client:ci/bot', 'preset_submit', 'system:daint'];
    const limits = ['--until', inAWeek, '--from', '10.0.0.0/8, 2001:db8::/32'];
    expect(await authz('grant', ...grant, ...limits)).toMatchObject({ status: 0, err: '' });
    expect((await authz('list', '--object', 'system:daint')).out).toContain(`"until":"${inAWeek}"`);
    const submit = [grant[0] ?? '', 'submit', 'system:daint'];
    expect((await authz('check', ...submit, '--from', '10.1.2.3')).status).toBe(0);
    expect((await authz('check', ...submit, '--from', '192.0.2.1')).status).toBe(1);
  });

  it('takes a program’s preset by its name, and takes it back', async () => {
    const preset = ['--client', 'nightly', '--preset', 'read', '--system', 'daint'];
    const check = () => authz('check', 'service_client:nightly', 'read_files', 'system:daint', '--from', '10.0.0.9');
    const granted = await authz('grant', ...preset, '--until', inAWeek, '--from', '10.0.0.0/8');
    expect(granted.out).toBe('granted: service_client:nightly preset_read system:daint\n');
    expect((await check()).status).toBe(0);
    expect((await authz('revoke', ...preset)).status).toBe(0);
    expect((await check()).status).toBe(1);
  });

  it('keeps a program to directories, and lets people see the task of another user', async () => {
    const grant = ['service_client:mover', 'preset_transfer', 'system:daint'];
    const limits = ['--until', inAWeek, '--path', '/scratch/a, /store/b'];
    expect(await authz('grant', ...grant, ...limits)).toMatchObject({ status: 0, err: '' });
    expect((await authz('list', '--subject', 'service_client:mover')).out).toContain('["/scratch/a/","/store/b/"]');
    const write = ['service_client:mover', 'write_files', 'system:daint'];
    const statuses = ['/scratch/a/x', '/scratch/a', '/scratch/ab', '/'].map(
      async (path) => (await authz('check', ...write, '--path', path)).status,
    );
    expect(await Promise.all(statuses)).toEqual([0, 0, 1, 1]);
    expect((await authz('check', ...write)).status).toBe(0);
    expect(await authz('grant', 'group:support', 'viewer', 'task:0190')).toMatchObject({ status: 0, err: '' });
  });

  it('takes a newer model too', async () => {
    expect(await authz('model', 'push')).toMatchObject({ status: 0, out: expect.stringContaining(at.at(-1) ?? '') });
  });
});

describe('what is written wrong', () => {
  it.each([
    [['grant', 'alice', 'submit', 'system:daint'], /SUBJECT alice: write user:NAME/],
    [['grant', 'user:*', 'submit', 'system:daint'], /SUBJECT user:\*/],
    [['grant', 'user:alice', 'fly', 'system:daint'], /RELATION fly: on system:daint write view_status/],
    [['grant', 'user:alice', 'member', 'system:daint'], /RELATION member/],
    [['grant', 'user:alice', 'submit'], /write SUBJECT RELATION OBJECT/],
    [['grant', 'user:alice', 'submit', 'system:daint', '--until', '2020-01-01T00:00:00Z'], /--until .*: write a time/],
    [['grant', 'user:alice', 'submit', 'system:daint', '--from', '10.0.0.0'], /--from 10\.0\.0\.0: write networks/],
    [['grant', 'user:alice', 'member', 'group:g', '--until', inAWeek], /only for grants on a system/],
    [['grant', 'user:alice', 'submit', 'system:daint', '--path', '/a'], /--path: only with read_files/],
    [['grant', 'user:alice', 'read_files', 'system:daint', '--path', 'a'], /--path a: write absolute directories/],
    [['grant', 'user:alice', 'read_files', 'system:daint', '--path', '/a/../b'], /write absolute directories/],
    [['grant', 'user:alice', 'read_files', 'system:daint', '--path', `/${'a'.repeat(240)}`], /240 characters together/],
    [['grant', 'service_client:x', 'preset_read', 'system:daint'], /--until is required .* 365 days/],
    [['grant', 'service_client:x', 'submit', 'system:daint', '--until', inAWeek], /--from is required/],
    [['grant', 'service_client:x', 'administer', 'system:d', '--until', '2999-01-01T00:00:00Z'], /30 days at most/],
    [
      ['grant', '--client', 'x', '--preset', 'fly', '--system', 'd'],
      /--preset fly: write read, transfer, submit, full/,
    ],
    [['grant', '--client', 'x', '--preset', 'read'], /or --client, --preset and --system/],
    [['grant', '--client', 'x', '--preset', 'read', '--system', 'd'], /--until is required/],
    [['frob'], /unknown command frob/],
    [['list', '--frob'], /--frob/],
  ])('is told and ends with status 2: %j', async (args, message) => {
    const { status, out, err } = await authz(...args);
    expect({ status, out, err }).toEqual({ status: 2, out: '', err: expect.stringMatching(message) });
    expect(err).toContain('goldcrest authz --help');
  });
});

describe('without a good server', () => {
  it('the status is 3, and the key is not shown', async () => {
    writeFileSync(join(folder, 'wrong'), 'wrong-key-text');
    const check = ['authz', 'check', 'user:a', 'submit', 'system:d', '--store', at.at(-1) ?? ''];
    const refused = await run([...check, '--url', lab.openfga.apiUrl, '--token-file', join(folder, 'wrong')]);
    const gone = await run([...check, '--url', 'http://127.0.0.1:1', '--token-file', tokenFile]);
    expect([refused.status, gone.status]).toEqual([3, 3]);
    expect([refused.err, gone.err]).toEqual([
      expect.stringMatching(/^OpenFGA answered 401/),
      expect.stringMatching(/^OpenFGA did not answer: .*ECONNREFUSED/),
    ]);
    expect(refused.err + gone.err).not.toMatch(new RegExp(`wrong-key-text|${lab.openfga.apiToken}`));
  });

  it('or a configuration, the status is 78', async () => {
    const { status, err } = await run(['authz', 'list']);
    expect([status, err]).toEqual([78, expect.stringContaining('GOLDCREST_CONFIG')]);
  });
});

describe('the program', () => {
  it('prints help when asked for, and ends with the status of its command', async () => {
    const help = await runProgram('authz', '--help');
    for (const word of ['model push', 'preset_submit', '--token-file', 'Exit status']) expect(help.out).toContain(word);
    const none = await runProgram();
    const check = await runProgram('authz', 'check', 'user:nobody', 'submit', 'system:daint', ...at);
    expect([help.status, none.status, check.status]).toEqual([0, 2, 1]);
    expect([none.err, check.out]).toEqual([expect.stringContaining('Usage'), 'not allowed\n']);
  });

  it('prints the model as JSON that OpenFGA takes', async () => {
    const { out } = await run(['authz', 'model', 'show']);
    expect(JSON.parse(out)).toMatchObject({ schema_version: '1.1', conditions: { limits: {} } });
  });
});

describe('deploy/compose/authorize.sh', () => {
  it('makes the store once, with the grants of the people of the realm, and hands more words to the program', async () => {
    const storeFile = join(folder, 'store_id');
    const env = {
      ...{ OPENFGA_URL: lab.openfga.apiUrl, OPENFGA_TOKEN_FILE: tokenFile, STORE_FILE: storeFile },
      GOLDCREST: `${process.execPath} --import tsx cli/main.ts`,
    };
    const first = await runCommand('deploy/compose/authorize.sh', [], { env });
    expect(first.stdout).toContain('granted: user:alice preset_full system:compose');
    const store = readFileSync(storeFile, 'utf8');
    const again = await runCommand('deploy/compose/authorize.sh', ['check', 'user:bob', 'submit', 'system:compose'], {
      env,
    });
    expect([again.stdout, readFileSync(storeFile, 'utf8')]).toEqual(['allowed\n', store]);
  });
});
