/** What this machine has: whether the demo can start at all, and over which scheduler. lab/install.sh knows the packages. */
import { homedir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { LabError } from '../lab-error.ts';
import { runCommand } from '../run-command.ts';
import type { DemoScheduler } from './options.ts';

export interface Choice {
  scheduler: DemoScheduler;
  /** Why not over Slurm; null where it is. */
  reason: string | null;
}

const installer = fileURLToPath(new URL('../install.sh', import.meta.url));

/** Throws `Missing`, with what to install, when the demo or the scheduler that was asked for cannot be. */
export async function chooseScheduler(wanted: DemoScheduler | undefined): Promise<Choice> {
  const needed = await missingPackages('demo');
  if (needed.length > 0) throw new LabError('Missing', `The demo needs ${howToInstall(needed)}`);
  if (wanted === 'process') return { scheduler: 'process', reason: 'asked for by --scheduler process' };
  const obstacle = await slurmObstacle();
  if (obstacle === null) return { scheduler: 'slurm', reason: null };
  if (wanted === 'slurm') throw new LabError('Missing', `--scheduler slurm: ${obstacle}`);
  return { scheduler: 'process', reason: obstacle };
}

async function slurmObstacle(): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'a Slurm cluster can be started by root only';
  const packages = await missingPackages('slurm');
  return packages.length === 0 ? null : `Slurm needs ${howToInstall(packages)}`;
}

function howToInstall(packages: readonly string[]): string {
  const names = packages.join(' ');
  return `what is not installed here: ${packages.join(', ')}. On Debian 12, as root: apt-get install ${names}`;
}

async function missingPackages(purpose: 'demo' | 'slurm'): Promise<string[]> {
  const { stdout } = await runCommand('bash', [installer, 'missing', purpose], { env: { HOME: homedir() } });
  return stdout.split('\n').filter((name) => name !== '');
}
