/**
 * What Linux tells about processes, read from /proc (proc(5)). A pid alone says little, since pids come round again:
 * a process is named by its pid together with the clock tick at which it started.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** One process as `/proc/<pid>/stat` has it. `startTick` counts clock ticks since boot. */
export interface ProcessStat {
  pid: number;
  parentPid: number;
  state: string;
  startTick: number;
}

/** The process with this pid, or undefined when there is none. A zombie is still listed, with state `Z`. */
export function processStat(pid: number): ProcessStat | undefined {
  const text = readText(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { pid, state: fields[0] ?? '?', parentPid: Number(fields[1]), startTick: Number(fields[19]) };
}

/** True when this very process still runs: the same pid and the same start, and not only waiting to be reaped. */
export function isRunning(pid: number, startTick: number): boolean {
  const stat = processStat(pid);
  return stat !== undefined && stat.startTick === startTick && stat.state !== 'Z';
}

/** Every process of the machine that still runs. */
export function runningProcesses(): ProcessStat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processStat(Number(name)))
    .filter((stat): stat is ProcessStat => stat !== undefined && stat.state !== 'Z');
}

/** The children, grandchildren and so on of the given processes, themselves not included. */
export function descendantsOf(pids: Iterable<number>): ProcessStat[] {
  const family = new Set(pids);
  const processes = runningProcesses();
  const found: ProcessStat[] = [];
  for (let before = -1; before !== found.length; ) {
    before = found.length;
    for (const stat of processes) {
      if (family.has(stat.pid) || !family.has(stat.parentPid)) continue;
      family.add(stat.pid);
      found.push(stat);
    }
  }
  return found;
}

/** Processes that were started with `name=value` in their environment. Needs root for other users' processes. */
export function processesWithEnvironment(name: string, value: string): ProcessStat[] {
  const entry = `${name}=${value}`;
  return runningProcesses().filter((stat) => {
    const environment = readText(`/proc/${stat.pid}/environ`);
    return environment?.split('\0').includes(entry) === true;
  });
}

/** Sends a signal; a process that has gone meanwhile is no error. */
export function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process ended between being listed and being read, or belongs to somebody else.
    return undefined;
  }
}
