/** What a configuration may say and this version does not do: found with key and place, and never started with. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LoadedConfig } from '../../shared/platform/config/load-config.ts';
import { findUnsupported, findWithoutEffect } from '../../shared/platform/config/unsupported.ts';
import { loadFixture, loadText, small } from './config-support.ts';

const refused = ({ config, placeOf }: LoadedConfig) => findUnsupported(config, placeOf);
const idle = ({ config, placeOf }: LoadedConfig) => findWithoutEffect(config, placeOf);
const smallWith = (from: string, to: string) => {
  expect(small).toContain(from);
  return small.replace(from, to);
};

const openfga = 'auth: {authentication: {token_url: "http://i"}, authorization: {url: "http://openfga"}}\n';
const rest = 'scheduler: {type: slurm, connection_mode: rest, api_url: "http://slurmrestd", api_version: "0.0.36"';
const withOldSlurmrestd = smallWith('scheduler: {type: slurm', rest).replace(
  '  host_keys:',
  '  systems: {one: {slurmrestd: {jwt_key_file: /etc/key}}}\n  host_keys:',
);
const store = { over: 'goldcrest: {authorization: {store_id: store}}' };

describe('what this version cannot honour is refused', () => {
  it('and a configuration that asks for none of it is not', () => {
    expect(refused(loadText(small))).toEqual([]);
    expect(idle(loadText(small))).toEqual([]);
  });

  it('and OpenFGA is honoured, unless it is set aside by name, which loading warns about', () => {
    const asked = loadText(openfga + small, { GOLDCREST_OVERLAY: 'over' }, store);
    expect([refused(asked), asked.warnings, asked.config.authorization.type]).toEqual([[], [], 'openfga']);
    const aside = loadText(openfga + small, { GOLDCREST_AUTHORIZATION__TYPE: 'builtin' });
    expect([refused(aside), aside.config.authorization.type]).toEqual([[], 'builtin']);
    expect(aside.warnings).toMatchObject([{ key: 'goldcrest.authorization.type' }]);
  });

  it('a version of slurmrestd that is not known, with those that are', () => {
    expect(refused(loadText(withOldSlurmrestd))).toMatchObject([
      { key: 'clusters[0].scheduler.api_version', place: 'site.yaml:10' },
    ]);
    expect(refused(loadText(withOldSlurmrestd.replace('0.0.36', 'v0.0.38')))).toEqual([]);
  });

  it.each(['api/main.ts', 'workers/main.ts'])(
    'by %s, which ends with status 78 before it connects anywhere',
    (entry) => {
      const folder = mkdtempSync(join(tmpdir(), 'gc-unsupported-'));
      try {
        const file = join(folder, 'site.yaml');
        writeFileSync(file, withOldSlurmrestd.replace('/run/keys/alice', file));
        const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', entry], {
          env: { PATH: process.env.PATH, GOLDCREST_CONFIG: file },
          encoding: 'utf8',
          timeout: 30_000,
        });
        expect(stderr).toContain(`- clusters[0].scheduler.api_version (${file}:10): is not known to this version`);
        expect(stderr).not.toContain('    at ');
        expect({ status, stdout }).toEqual({ status: 78, stdout: '' });
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
    40_000,
  );
});

describe('a key of FirecREST without effect in this version is warned about', () => {
  it('with key and line, for each system', () => {
    const found = idle(loadFixture('firecrest-v2.yaml', 'goldcrest.overlay.yaml'));
    const places = found.map(({ key, place }) => [key, Number(place.split(':').at(-1))]);
    expect(places).toEqual([
      ['clusters[1].probing.services.s3', 102],
      ['logger.enable_tracing_log', 143],
      ['logger.loggable_request_headers', 144],
    ]);
    for (const { message } of found) expect(message).toContain('has no effect');
  });

  it('probes of a system that has no account to log in with, each by its name', () => {
    const services = 'probing: {services: {ssh: {}, scheduler: {}, filesystem: {}}}';
    const account = '    service_account: {client_id: probe, secret: secret-text-of-probe}\n';
    const without = smallWith(account, '').replace('probing: {}', services);
    const places = idle(loadText(without)).map(({ key, message }) => [key, message]);
    expect(places).toEqual(
      ['ssh', 'scheduler', 'filesystem'].map((service) => [
        `clusters[0].probing.services.${service}`,
        expect.stringContaining('has no effect without an account to log in with'),
      ]),
    );
    const named = 'systems: {one: {service_account_username: probe}}';
    expect(idle(loadText(without.replace('  host_keys:', `  ${named}\n  host_keys:`)))).toEqual([]);
  });

  it('and one that says nothing is not: off, empty or null', () => {
    const text = smallWith(
      'probing: {}',
      'probing: {services: {}}\n    data_operation: {data_transfer: null, max_ops_file_size: 1024}',
    );
    expect(idle(loadText(`logger: {enable_tracing_log: false, loggable_request_headers: []}\n${text}`))).toEqual([]);
  });
});

describe('the least life of a token', () => {
  it('leaves no hole for clients that renew theirs 10 s before its end, unless the file says otherwise', () => {
    const lifeOf = ({ config }: LoadedConfig) => config.authentication.issuers[0]?.minimumLifeSeconds;
    const auth = (more: string) => `auth: {authentication: {token_url: "http://i"${more}}}\n${small}`;
    expect([lifeOf(loadText(small)), lifeOf(loadText(auth('')))]).toEqual([5, 5]);
    expect(lifeOf(loadText(auth(', min_token_ttl: 45')))).toBe(45);
    const own = { GOLDCREST_ISSUERS__0__MINIMUM_LIFE: '7s' };
    expect(lifeOf(loadText(auth(', min_token_ttl: 45'), own))).toBe(7);
  });
});
