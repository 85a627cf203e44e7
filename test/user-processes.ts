/**
 * What a user of a lab runs on it. Told by the mark that every session of the lab has in its environment: the accounts
 * are those of the machine, and other labs on it use them at the same time.
 */
import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { labFolderVariable } from '../lab/lab-folder.ts';
import { type ProcessStat, processesWithEnvironment, signalQuietly } from '../lab/processes.ts';
import type { LabUser } from '../lab/users.ts';

export interface UserProcess extends ProcessStat {
  /** Name of its program, without the folder. */
  program: string;
  /** Its words, with spaces between. */
  line: string;
}

/** Needs root, as the lab does with more than one user. */
export function userProcesses(lab: { folder: string }, user: Pick<LabUser, 'uid'>): UserProcess[] {
  const stats = processesWithEnvironment(labFolderVariable, lab.folder);
  return stats.flatMap((stat) => describeProcess(stat, user.uid));
}

/** Whether the user runs a program of that name now. */
export function runsProgram(lab: { folder: string }, user: Pick<LabUser, 'uid'>, program: string): boolean {
  return userProcesses(lab, user).some((process) => process.program === program);
}

/** Ends the user's processes for which this holds, with SIGKILL; gives how many there were. */
export function killUserProcesses(
  lab: { folder: string },
  user: Pick<LabUser, 'uid'>,
  isMeant: (process: UserProcess) => boolean,
): number {
  const meant = userProcesses(lab, user).filter(isMeant);
  for (const { pid } of meant) signalQuietly(pid, 'SIGKILL');
  return meant.length;
}

function describeProcess(stat: ProcessStat, uid: number): UserProcess[] {
  try {
    const folder = `/proc/${stat.pid}`;
    if (statSync(folder).uid !== uid) return [];
    const words = readFileSync(`${folder}/cmdline`, 'utf8').split('\0').slice(0, -1);
    return [{ ...stat, program: basename(words[0] ?? ''), line: words.join(' ') }];
  } catch {
    return []; // it has ended meanwhile
  }
}
