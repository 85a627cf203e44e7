/** The same work over the same kind of warm SSH connection, called directly: what no broker can be faster than. */
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import type { Lab } from '../lab/lab.ts';
import type { LabUser } from '../lab/users.ts';
import { createStaticKeys } from '../workers/ssh/credentials/static-keys.ts';
import { createInProcessHandshakeLimiter } from '../workers/ssh/handshake-limiter.ts';
import type { RemoteFiles } from '../workers/ssh/remote-files.ts';
import type { RemoteShell } from '../workers/ssh/remote-shell.ts';
import { createSsh } from '../workers/ssh/ssh.ts';
import { benchScript, listedDirectory } from './subjects.ts';

export interface Floor {
  readonly files: RemoteFiles;
  readonly shell: RemoteShell;
  exec(): Promise<void>;
  sftpStat(): Promise<void>;
  stat(): Promise<void>;
  list(): Promise<void>;
  submit(): Promise<void>;
  close(): Promise<void>;
}

export async function openFloor(lab: Lab, user: LabUser): Promise<Floor> {
  const keys = createStaticKeys({ [user.username]: { privateKey: readFileSync(user.privateKeyPath, 'utf8') } });
  const ssh = createSsh({
    systems: [
      {
        name: 'lab',
        host: lab.sshd.host,
        port: lab.sshd.port,
        hostKeys: { mode: 'verify', pinnedKeys: [lab.sshd.hostKey] },
        connectTimeoutMs: 5_000,
        loginTimeoutMs: 5_000,
        commandTimeoutMs: 20_000,
        idleTimeoutMs: 60_000,
        keepAliveMs: 15_000,
        connectionsMax: 8,
      },
    ],
    credentials: () => keys,
    handshakes: createInProcessHandshakeLimiter(),
    log: pino({ level: 'silent' }),
  });
  const shell = ssh.shell('lab', user.username);
  const files = ssh.files('lab', user.username);
  const stats = ssh.stats('lab', user.username);
  const { directory, prepare } = listedDirectory(user.home);
  await shell.run(prepare);
  return {
    files,
    shell,
    async exec() {
      await shell.run(['true']);
    },
    async sftpStat() {
      await files.lstat(directory);
    },
    async stat() {
      await stats.stat(directory);
    },
    async list() {
      await files.readdir(directory);
    },
    async submit() {
      const { exitCode, stderr } = await shell.run(['sbatch', '--parsable', '--chdir', user.home], {
        stdin: benchScript,
      });
      if (exitCode !== 0) throw new Error(stderr.toString());
    },
    close: () => ssh.close(),
  };
}
