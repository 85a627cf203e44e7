/** Slurm's own daemons, run in the foreground by a slurm.conf that is already written. */
import { join } from 'node:path';
import { daemonAccount } from '../accounts.ts';
import { type Daemon, startDaemon } from '../daemon.ts';
import { labFolderVariable } from '../lab-folder.ts';
import { runCommand } from '../run-command.ts';
import { logTail } from '../wait-until.ts';

/** Runs a Slurm command as root; resolves to what it printed. */
export type SlurmAdmin = (command: string, args: readonly string[]) => Promise<string>;

export function slurmConfPath(labFolder: string): string {
  return join(labFolder, 'slurm', 'slurm.conf');
}

/** What a session needs in its environment to use the cluster in this folder; known before the cluster is up. */
export function slurmEnvironment(labFolder: string): Record<string, string> {
  return { SLURM_CONF: slurmConfPath(labFolder), [labFolderVariable]: labFolder };
}

export function slurmAdmin(labFolder: string): SlurmAdmin {
  const env = slurmEnvironment(labFolder);
  return async (command, args) => (await runCommand(command, args, { env })).stdout;
}

/** slurmdbd; resolves when sacctmgr gets an answer. */
export async function startAccounting(labFolder: string): Promise<Daemon> {
  const { uid, gid } = daemonAccount('slurm');
  return startDaemon({
    name: 'slurmdbd',
    folder: labFolder,
    command: 'slurmdbd',
    args: ['-D'],
    env: slurmEnvironment(labFolder),
    uid,
    gid,
    isReady: async () => (await slurmAdmin(labFolder)('sacctmgr', ['--noheader', 'show', 'cluster'])) !== undefined,
    readyTimeoutMs: 30_000,
    stopTimeoutMs: 10_000,
  });
}

/** slurmctld; resolves when it calls itself up. */
export async function startController(labFolder: string): Promise<Daemon> {
  const { uid, gid } = daemonAccount('slurm');
  return startDaemon({
    name: 'slurmctld',
    folder: labFolder,
    command: 'slurmctld',
    args: ['-D'],
    env: slurmEnvironment(labFolder),
    uid,
    gid,
    isReady: async () => (await slurmAdmin(labFolder)('scontrol', ['ping'])).includes('is UP'),
    readyTimeoutMs: 30_000,
    stopTimeoutMs: 10_000,
  });
}

/**
 * slurmrestd on loopback, for tokens only, with every version of its API that it has. It refuses to run as root or as
 * Slurm's own account, so it is nobody, who has no rights of its own in the cluster.
 */
export async function startRest(labFolder: string, port: number): Promise<Daemon> {
  const { uid, gid } = daemonAccount('nobody');
  return startDaemon({
    name: 'slurmrestd',
    folder: labFolder,
    command: 'slurmrestd',
    args: ['-a', 'rest_auth/jwt', `127.0.0.1:${port}`],
    env: { ...slurmEnvironment(labFolder), SLURM_JWT: 'daemon' },
    uid,
    gid,
    // Whatever it answers without a token, it serves.
    isReady: async () => (await fetch(`http://127.0.0.1:${port}/openapi/v3`)).status > 0,
    readyTimeoutMs: 15_000,
  });
}

/** One slurmd; resolves when it listens. */
export async function startNode(labFolder: string, name: string): Promise<Daemon> {
  return startDaemon({
    name: name,
    folder: labFolder,
    command: 'slurmd',
    args: ['-D', '-N', name],
    env: slurmEnvironment(labFolder),
    // It registers with the controller later, which the cluster as a whole waits for.
    isReady: () => logTail(join(labFolder, 'logs', `${name}.log`)).includes('slurmd started on'),
    readyTimeoutMs: 15_000,
  });
}
