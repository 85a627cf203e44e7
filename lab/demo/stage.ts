/** What the demo stands on: the lab's parts that it needs, a folder for the job, the broker, and a token for its user. */
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Broker, startBroker } from '../broker.ts';
import { type Lab, type PartName, startLab } from '../lab.ts';
import { type LabUser, userNamed } from '../users.ts';
import type { DemoScheduler } from './options.ts';
import type { Screen } from './screen.ts';

export interface Stage {
  lab: Lab;
  broker: Broker;
  user: LabUser;
  /** In the lab's folder, so that nothing is written to anybody's home. */
  workFolder: string;
  token: string;
}

/** The user of the lab as whom the demo acts; without root it is whoever runs it. */
export const demoUser = { name: 'alice', username: 'gcalice' } as const;

/** How long the demo's token is good for, hours. */
export const tokenHours = 24;

const workers = 1;

/** Throws what the lab throws; whatever was started ends with this process, or before when a part fails. */
export async function setStage(scheduler: DemoScheduler, screen: Screen): Promise<Stage> {
  const parts: PartName[] = ['redis', 'sshd', 'oidc', ...(scheduler === 'slurm' ? ['slurm' as const] : [])];
  const waiting = new Set<PartName>(parts);
  const showWaiting = () => screen.wait(`starting ${[...waiting].map(titleOf).join(', ')}`);
  showWaiting();
  const lab = await startLab({
    parts,
    people: [demoUser.name],
    sshd: { keepsStateInLab: true },
    slurm: { nodes: ['n1'] },
    // The demo ends on a signal in its own way; the lab goes with the process.
    handlesSignals: false,
    onPartStarted: (part, ms) => {
      waiting.delete(part);
      screen.done(titleOf(part), ms, partNotes[part]?.[1] ?? '');
      if (waiting.size > 0) showWaiting();
    },
  });
  const user = userNamed(lab.users, demoUser.name);
  const workFolder = makeWorkFolder(lab.folder, user);
  screen.wait('starting the broker: API and worker');
  const startedAt = performance.now();
  const broker = await startBroker(lab, {
    workers,
    scheduler,
    fileSystems: [
      { path: workFolder, data_type: 'scratch', default_work_dir: true },
      { path: user.home, data_type: 'users' },
    ],
  });
  screen.done('Goldcrest', performance.now() - startedAt, `the broker: ${broker.url} and ${workers} worker`);
  const token = await lab.oidc.token(demoUser.name, { expiresInSeconds: tokenHours * 3600, algorithm: 'ES256' });
  return { lab, broker, user, workFolder, token };
}

/** Name and purpose, for people. */
const partNotes: Partial<Record<PartName, [string, string]>> = {
  redis: ['Redis', 'queue and tasks; a write is on disk before it is acknowledged'],
  sshd: ['OpenSSH server', 'the login node; it trusts certificates that the worker signs'],
  slurm: ['Slurm', 'the batch system: one node, with accounting'],
  oidc: ['OIDC issuer', 'issues the token'],
};

function titleOf(part: PartName): string {
  return partNotes[part]?.[0] ?? part;
}

function makeWorkFolder(labFolder: string, user: LabUser): string {
  const folder = join(labFolder, 'work');
  mkdirSync(folder, { mode: 0o700 });
  if (process.getuid?.() !== user.uid) chownSync(folder, user.uid, user.gid);
  return folder;
}
