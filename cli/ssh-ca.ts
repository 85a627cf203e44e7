/** `goldcrest ssh-ca`: makes the key of a user CA, and prints what the login nodes need to trust it. */
import { writeFileSync } from 'node:fs';
import type { Config, SystemConfig } from '../shared/platform/config/config.ts';
import { loadConfig } from '../shared/platform/config/load-config.ts';
import { newPrivateKeyText, publicKeyLineOf } from '../shared/ssh/openssh-key.ts';
import type { CliIo } from './authz.ts';
import { sshCaHelp } from './help.ts';
import { type Command, exitStatus, runCommands } from './run-commands.ts';
import { type SshdHosts, sshdLines } from './sshd-lines.ts';

/** The configuration has no CA of its own. */
const noKey = 1;

const options = { directory: { type: 'string', default: '/etc/ssh' } } as const;

/** Names the key in files and listings. */
const comment = 'goldcrest-user-ca';

/** Resolves to the exit status; prints every failure. */
export function runSshCa(args: readonly string[], io: CliIo): Promise<number> {
  const config = () => loadConfig({ env: io.env }).config;
  const commands: Record<string, Command<typeof options>> = {
    init: ([path, ...others]) => (path !== undefined && others.length === 0 ? makeKey(path, io) : undefined),
    'public-key': (words) => (words.length === 0 ? printKey(config(), io) : undefined),
    'sshd-config': (systems, { directory }) => printLines(config(), { directory, systems }, io),
  };
  return runCommands({ help: sshCaHelp, options, commands }, args, io);
}

/** Never writes over a file: another key would lock every user out, and cannot be had again. */
function makeKey(path: string, io: CliIo): number {
  const privateKey = newPrivateKeyText(comment);
  writeFileSync(path, privateKey, { flag: 'wx', mode: 0o600 });
  const line = `${publicKeyLineOf(privateKey)} ${comment}`;
  writeFileSync(`${path}.pub`, `${line}\n`, { flag: 'wx', mode: 0o644 });
  io.print(line);
  io.complain(`The key of the CA is in ${path}: guard it as root's. Only the workers need to read it:
  ssh_credentials: {type: UserCA, private_key: "secret_file:${path}"}
Then: goldcrest ssh-ca sshd-config`);
  return exitStatus.done;
}

function printKey(config: Config, io: CliIo): number {
  const key = publicKeyOf(config);
  if (typeof key === 'string') io.print(key);
  else io.complain(key.problem);
  return typeof key === 'string' ? exitStatus.done : noKey;
}

function printLines(config: Config, wanted: { directory: string; systems: readonly string[] }, io: CliIo): number {
  const unknown = wanted.systems.filter((name) => !config.systems.some((system) => system.name === name));
  if (unknown.length > 0) {
    io.complain(`No such system in the configuration: ${unknown.join(', ')}`);
    return exitStatus.usage;
  }
  const key = publicKeyOf(config);
  if (typeof key !== 'string') {
    io.complain(key.problem);
    return noKey;
  }
  const systems = config.systems.filter(({ name }) => wanted.systems.length === 0 || wanted.systems.includes(name));
  for (const line of sshdLines({ ...hostsOf(systems), directory: wanted.directory, publicKey: key })) io.print(line);
  return exitStatus.done;
}

/** The line of the CA's public half; the private one, encrypted or not, is not needed for it. */
function publicKeyOf({ sshCredentials }: Config): string | { problem: string } {
  switch (sshCredentials.type) {
    case 'user-ca': {
      const { key } = sshCredentials;
      if ('agentSocket' in key) return key.publicKey.trim();
      return `${publicKeyLineOf(key.privateKey.reveal())} ${comment}`;
    }
    case 'static-keys':
      return { problem: 'ssh_credentials is SSHStaticKeys: there is no CA; public keys belong in authorized_keys.' };
    default:
      return {
        problem: `The CA is that of the service at ${sshCredentials.url}, whose operators have its public key.`,
      };
  }
}

function hostsOf(systems: readonly SystemConfig[]): SshdHosts {
  const logins = systems.map(({ name, ssh }) => ({
    ...{ system: name, host: ssh.host, port: ssh.port, sessionsMin: ssh.channelsPerConnectionMax },
    jump: ssh.proxy === null ? null : { host: ssh.proxy.host, port: ssh.proxy.port },
  }));
  return { logins };
}
