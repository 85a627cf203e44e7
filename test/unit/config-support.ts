/** Files in memory for the tests of the configuration, and a small complete configuration to vary. */
import { readdirSync, readFileSync } from 'node:fs';
import { ConfigError } from '../../shared/platform/config/config-error.ts';
import { type LoadedConfig, loadConfig } from '../../shared/platform/config/load-config.ts';
import type { FileReader } from '../../shared/platform/config/read-files.ts';

/** Loads `text` as `site.yaml`, with an environment and more files beside it. */
export function loadText(
  text: string,
  env: Record<string, string> = {},
  files: Record<string, string> = {},
): LoadedConfig {
  return loadConfig({
    env: { GOLDCREST_CONFIG: 'site.yaml', ...env },
    files: inMemory({ 'site.yaml': text, '/run/keys/alice': 'key-text-of-alice', ...files }),
  });
}

/** Loads fixtures from disk. */
export function loadFixture(file: string, overlay?: string, env: Record<string, string> = {}): LoadedConfig {
  return loadConfig({
    env: {
      ...env,
      YAML_CONFIG_FILE: `test/fixtures/config/${file}`,
      ...(overlay === undefined ? {} : { GOLDCREST_OVERLAY: `test/fixtures/config/${overlay}` }),
    },
  });
}

/** The error that loading ends with. */
export function refusal(load: () => unknown): ConfigError {
  try {
    load();
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown;
    throw thrown;
  }
  throw new Error('the configuration was accepted');
}

export function inMemory(texts: Record<string, string>): FileReader {
  const missing = (path: string) => Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' });
  return {
    readFile(path) {
      const text = texts[path];
      if (text !== undefined) return text;
      if (path.startsWith('test/fixtures/')) return readFileSync(path, 'utf8');
      throw missing(path);
    },
    listFolder(path) {
      if (path.startsWith('test/fixtures/')) return readdirSync(path);
      const names = Object.keys(texts).filter((name) => name.startsWith(`${path}/`));
      if (names.length === 0) throw missing(path);
      return names.map((name) => name.slice(path.length + 1));
    },
  };
}

/** A small configuration that loads without a warning. Line numbers in tests refer to it. */
export const small = `ssh_credentials:
  type: SSHStaticKeys
  keys:
    alice: {private_key: "secret_file:/run/keys/alice"}
clusters:
  - name: one
    ssh:
      host: login.one.example.org
      port: 22
    scheduler: {type: slurm, version: "24.11.0"}
    service_account: {client_id: probe, secret: secret-text-of-probe}
    probing: {}
goldcrest:
  redis:
    url: redis://:password-text@127.0.0.1:6379/0
  issuers:
    - issuer: https://idp.example.org
      audiences: [goldcrest]
  host_keys:
    known_hosts_file: /etc/goldcrest/known_hosts
`;
