/** The errors that clients of FirecREST v2 read: their statuses and the texts that are matched on. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { userNamed } from '../../lab/users.ts';
import { type Broker, type Client, clientOf, startBroker } from '../system/broker-fixture.ts';

const lab = inject('lab');
const alice = userNamed(lab.users, 'alice');
const bob = userNamed(lab.users, 'bob');
const script = '#!/bin/sh\n#SBATCH --hold\nexit 0\n';
const ls = '/filesystem/lab/ops/ls';

let broker: Broker;
let client: Client;

beforeAll(async () => {
  broker = await startBroker(lab);
  client = await clientOf(lab.oidc, broker.url, 'alice');
});

afterAll(async () => {
  await broker?.stop();
});

describe('errors that clients read', () => {
  const job = { workingDirectory: alice.home, script };
  it.each<[string, string, string, unknown, number, string | RegExp]>([
    ['no such system', 'GET', `/filesystem/nosuch/ops/ls?path=/tmp`, undefined, 404, 'System not found'],
    ['no such job', 'GET', '/compute/lab/jobs/999999999', undefined, 404, 'Job not found.'],
    ['no metadata', 'GET', '/compute/lab/jobs/999999999/metadata', undefined, 404, 'Job not found.'],
    ['nothing to attach to', 'PUT', '/compute/lab/jobs/999999999/attach', { command: 'id' }, 404, 'Job not found.'],
    ['no command', 'PUT', '/compute/lab/jobs/1/attach', {}, 400, /command/],
    ['no such window', 'GET', '/compute/lab/jobs?time_window=2h', undefined, 400, /must be one of 1h, 8h, 24h, 3d, 7d/],
    ['long name', 'GET', `/compute/lab/jobs?name=${'x'.repeat(236)}`, undefined, 400, /at most 235 characters/],
    ['odd switch', 'GET', '/status/lab/partitions?show_hidden=zz', undefined, 400, /show_hidden/],
    ['no such job to cancel', 'DELETE', '/compute/lab/jobs/999999999', undefined, 404, 'Job not found'],
    [
      'no such file, ls',
      'GET',
      `/filesystem/lab/ops/ls?path=${alice.home}/none`,
      undefined,
      404,
      /No such file or directory$/,
    ],
    [
      'no such file, stat',
      'GET',
      `/filesystem/lab/ops/stat?path=${alice.home}/none`,
      undefined,
      404,
      /cannot statx '.*none': No such file or directory$/,
    ],
    ['not allowed, ls', 'GET', `/filesystem/lab/ops/ls?path=${bob.home}`, undefined, 403, /Permission denied/],
    ['not allowed, stat', 'GET', `/filesystem/lab/ops/stat?path=${bob.home}/x`, undefined, 403, /Permission denied/],
    ['no path', 'GET', '/filesystem/lab/ops/stat', undefined, 400, /path/],
    [
      'relative path',
      'GET',
      '/filesystem/lab/ops/ls?path=data',
      undefined,
      400,
      'The provided path (data) is not an absolute path.',
    ],
    [
      'foreign path',
      'GET',
      '/filesystem/lab/ops/ls?path=/etc',
      undefined,
      400,
      'The provided path (/etc) does not match any of the defined filesystem paths for the requested system (lab).',
    ],
    [
      'unknown partition',
      'POST',
      '/compute/lab/jobs',
      { job: { ...job, partition: 'nope' } },
      400,
      /^Unexpected Slurm command response\. exit_status:1 std_err:sbatch: error: .*Invalid partition/s,
    ],
    ['no script', 'POST', '/compute/lab/jobs', { job: { workingDirectory: '/tmp' } }, 400, /script/],
    ['no working directory', 'POST', '/compute/lab/jobs', { job: { script } }, 400, /workingDirectory/],
    [
      'missing script file',
      'POST',
      '/compute/lab/jobs',
      { job: { workingDirectory: '/tmp', scriptPath: '/tmp/none' } },
      400,
      /Unable to open file/,
    ],
  ])('%s', async (_title, method, path, body, status, message) => {
    const answer = await client.send(method, path, body === undefined ? {} : { body });
    expect(answer.status, answer.text).toBe(status);
    expect(answer.body.message).toEqual(typeof message === 'string' ? message : expect.stringMatching(message));
    expect(answer.body).toMatchObject({ causedBy: null, user: alice.username, status, detail: answer.body.message });
    expect(['error', 'validation']).toContain(answer.body.errorType);
  });

  it('a validation error names the fields', async () => {
    const { status, body } = await client.get(`${ls}?path=/tmp&recursive=perhaps`);
    expect([status, body.errorType]).toEqual([400, 'validation']);
    expect(body.data).toEqual({ fields: [{ location: 'query', name: 'recursive', message: expect.any(String) }] });
  });

  it.each([
    ['GET', '/', 404],
    ['GET', '/filesystem/lab/ops/nothing', 404],
    ['POST', '/status/systems', 405],
    ['PUT', '/compute/lab/jobs', 405],
    ['OPTIONS', '/filesystem/lab/ops/ls', 405],
  ])('%s %s is %i in JSON', async (method, path, status) => {
    const answer = await client.send(method, path);
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.body).toMatchObject({ status, errorType: 'error', causedBy: null, data: null });
    expect(answer.body.message).toBe(status === 404 ? 'Not Found' : 'Method Not Allowed');
    expect(answer.headers.has('allow')).toBe(status === 405);
  });

  it('HEAD is 405, as upstream has it', async () => {
    expect((await client.send('HEAD', '/status/systems')).status).toBe(405);
  });
});
