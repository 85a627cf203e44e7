/** CA keys where operators keep them: in an ssh-agent, from a file or from a PKCS#11 token (SoftHSM, by ssh-pkcs11-helper). */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Agent {
  agentSocket: string;
  stop(): void;
}

function startEmptyAgent(folder: string, env: Record<string, string> = {}): Agent & { add(args: string[]): void } {
  const agentSocket = join(folder, `agent-${randomUUID().slice(0, 8)}.sock`);
  const ours = { ...process.env, ...env };
  const said = execFileSync('ssh-agent', ['-a', agentSocket], { env: ours }).toString();
  const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(said)?.[1]);
  return {
    agentSocket,
    stop: () => process.kill(pid),
    add: (args) => void execFileSync('ssh-add', ['-q', ...args], { env: { ...ours, SSH_AUTH_SOCK: agentSocket } }),
  };
}

/** A real ssh-agent with the key of a file in it. */
export function startAgent(folder: string, privateKeyPath: string): Agent {
  const agent = startEmptyAgent(folder);
  agent.add([privateKeyPath]);
  return agent;
}

const pkcs11Module = '/usr/lib/softhsm/libsofthsm2.so';
const pin = '4711';

/** A token with one key that was made in it and cannot leave it, and an agent that asks it to sign. */
export function startTokenAgent(folder: string, keyType: 'EC:prime256v1' | 'rsa:2048'): Agent & { publicKey: string } {
  const home = join(folder, `token-${randomUUID().slice(0, 8)}`);
  mkdirSync(join(home, 'tokens'), { recursive: true });
  const config = join(home, 'softhsm2.conf');
  writeFileSync(config, `directories.tokendir = ${join(home, 'tokens')}\n`);
  const askpass = join(home, 'askpass');
  writeFileSync(askpass, `#!/bin/sh\necho ${pin}\n`, { mode: 0o700 });
  const env = { SOFTHSM2_CONF: config, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' };
  const run = (command: string, args: string[]) =>
    execFileSync(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'ignore'] }).toString();
  run('softhsm2-util', ['--init-token', '--free', '--label', 'goldcrest', '--pin', pin, '--so-pin', pin]);
  const login = ['--module', pkcs11Module, '--login', '--pin', pin];
  run('pkcs11-tool', [...login, '--keypairgen', '--key-type', keyType, '--id', '01', '--label', 'ca', '--usage-sign']);
  const publicKey = run('ssh-keygen', ['-D', pkcs11Module]).trim();
  const agent = startEmptyAgent(folder, env);
  agent.add(['-s', pkcs11Module]);
  return { ...agent, publicKey };
}
