/** The MariaDB server that slurmdbd keeps its records in, with a data folder of this lab's own. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { daemonAccount, makeOwnedFolder } from '../accounts.ts';
import { startDaemon } from '../daemon.ts';
import { portAt, startOnFreePorts } from '../free-ports.ts';
import { labFolderVariable } from '../lab-folder.ts';
import { runCommand } from '../run-command.ts';

/** Where slurmdbd finds it, as user `slurm`. */
export interface Database {
  port: number;
  password: string;
}

/** Starts the server with an empty database and an account for slurmdbd. */
export async function startDatabase(labFolder: string, folder: string): Promise<Database> {
  const { uid, gid } = daemonAccount('mysql');
  const data = join(folder, 'mariadb');
  makeOwnedFolder(data, 'mysql', 0o700);
  // A server that starts clears away the temporary tables in its folder, those of another lab too.
  const temporary = join(folder, 'mariadb-tmp');
  makeOwnedFolder(temporary, 'mysql', 0o700);
  const init = [
    '--no-defaults',
    '--user=mysql',
    `--datadir=${data}`,
    `--tmpdir=${temporary}`,
    '--auth-root-authentication-method=socket',
  ];
  await runCommand('mariadb-install-db', [...init, '--skip-test-db'], {
    timeoutMs: 60_000,
    env: { [labFolderVariable]: labFolder },
  });
  const socket = join(data, 'm.sock');
  const asRoot = ['--no-defaults', `--socket=${socket}`];
  const password = randomBytes(12).toString('hex');
  return startOnFreePorts(1, async (ports) => {
    const port = portAt(ports, 0);
    await startDaemon({
      name: 'mariadbd',
      folder: labFolder,
      command: 'mariadbd',
      args: [
        '--no-defaults',
        `--datadir=${data}`,
        `--tmpdir=${temporary}`,
        '--bind-address=127.0.0.1',
        `--port=${port}`,
        `--socket=${socket}`,
        `--pid-file=${data}/m.pid`,
        '--innodb-buffer-pool-size=128M',
        '--innodb-log-file-size=16M',
        '--innodb-lock-wait-timeout=900',
        '--innodb-flush-log-at-trx-commit=2',
        '--skip-name-resolve',
      ],
      uid,
      gid,
      isReady: async () => (await runCommand('mariadb-admin', [...asRoot, 'ping'])).stdout.includes('alive'),
      readyTimeoutMs: 30_000,
      stopTimeoutMs: 10_000,
    });
    const account = `slurm@'127.0.0.1'`;
    const input = [
      `CREATE USER ${account} IDENTIFIED BY '${password}';`,
      `GRANT ALL ON slurm_accounting.* TO ${account};`,
      'CREATE DATABASE slurm_accounting;',
    ].join('\n');
    await runCommand('mariadb', asRoot, { input });
    return { port, password };
  });
}
