/**
 * The one temporary folder of a lab, and its end. Everything a lab makes lies in this folder, every process it starts
 * is written down there and carries the folder's name in its environment, so that a later start can clean up after a
 * lab whose owner was killed without a chance to do so.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  descendantsOf,
  isRunning,
  type ProcessStat,
  processesWithEnvironment,
  processStat,
  signalQuietly,
} from './processes.ts';

/** Environment variable by which every process of a lab, and what that process starts, is known. */
export const labFolderVariable = 'GOLDCREST_LAB_FOLDER';

const namePrefix = 'goldcrest-lab-';
const ownerFile = 'owner.json';
const pidsFolder = 'pids';
const reapTimeoutMs = 5_000;
/** A folder this young without an owner file is one that is being made at this moment. */
const unownedAgeMsMax = 60_000;

interface ProcessName {
  pid: number;
  startTick: number;
}

/** Makes the folder. Mode 755: daemons of other users must be able to pass through. */
export function createLabFolder(): string {
  // Unix socket paths end at 107 characters: a deep TMPDIR cannot hold a lab.
  const parent = tmpdir().length > 40 ? '/tmp' : tmpdir();
  const folder = mkdtempSync(join(parent, namePrefix));
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, ownerFile), JSON.stringify(processName(process.pid)));
  mkdirSync(join(folder, pidsFolder));
  mkdirSync(join(folder, 'logs'));
  return folder;
}

/** Writes down a process of the lab; its file is replaced when the daemon is started again. */
export function recordProcess(folder: string, name: string, pid: number): void {
  writeFileSync(join(folder, pidsFolder, name), JSON.stringify(processName(pid)));
}

/**
 * Ends every process of a lab with SIGKILL and removes its folder. Synchronous, so that it works in an `exit` handler;
 * may be called twice. Takes 5 s at most, then leaves the folder to the next start.
 */
export function reapLab(folder: string): void {
  for (const deadline = Date.now() + reapTimeoutMs; Date.now() < deadline; ) {
    const left = processesOfLab(folder);
    if (left.length === 0) break;
    for (const stat of left) signalQuietly(stat.pid, 'SIGKILL');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  detachMounts(folder);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

/** The folders of all labs of this machine, dead ones included. */
export function labFolders(): string[] {
  return [...new Set([tmpdir(), '/tmp'])].flatMap((parent) =>
    readdirSync(parent)
      .filter((name) => name.startsWith(namePrefix))
      .map((name) => join(parent, name)),
  );
}

/** Reaps the labs whose owner no longer runs; returns their folders. Labs of other users are left alone. */
export function reapDeadLabs(): string[] {
  const dead = labFolders().filter(isAbandoned);
  for (const folder of dead) reapLab(folder);
  return dead;
}

/** The processes of a lab that still run: those written down, those marked, and what they started. */
export function processesOfLab(folder: string): ProcessStat[] {
  const found = new Map<number, ProcessStat>();
  for (const { pid, startTick } of recordedProcesses(folder)) {
    const stat = processStat(pid);
    if (stat && isRunning(pid, startTick)) found.set(pid, stat);
  }
  for (const stat of processesWithEnvironment(labFolderVariable, folder)) found.set(stat.pid, stat);
  for (const stat of descendantsOf(found.keys())) found.set(stat.pid, stat);
  found.delete(process.pid);
  return [...found.values()];
}

function processName(pid: number): ProcessName {
  return { pid, startTick: processStat(pid)?.startTick ?? -1 };
}

function recordedProcesses(folder: string): ProcessName[] {
  const names: ProcessName[] = [];
  for (const file of listQuietly(join(folder, pidsFolder))) {
    const name = readProcessName(join(folder, pidsFolder, file));
    if (name) names.push(name);
  }
  return names;
}

function isAbandoned(folder: string): boolean {
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (!stat || (process.getuid?.() !== 0 && stat.uid !== process.getuid?.())) return false;
  const owner = readProcessName(join(folder, ownerFile));
  if (!owner) return Date.now() - stat.ctimeMs > unownedAgeMsMax;
  return !isRunning(owner.pid, owner.startTick);
}

function readProcessName(file: string): ProcessName | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessName;
  } catch {
    // Not written yet, or already removed by another start that cleans up too.
    return undefined;
  }
}

function listQuietly(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function detachMounts(folder: string): void {
  const mounts = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${folder}/`));
  for (const point of mounts.reverse()) execFileSync('umount', ['--lazy', point], { stdio: 'ignore' });
}
