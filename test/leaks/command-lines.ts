/**
 * The command lines of this machine, looked at now and then while a test runs: those of the broker, and of all that it
 * starts on the cluster. What a test itself runs as a client may have secrets on its command line and is passed over.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { labFolderVariable } from '../../lab/lab-folder.ts';
import { processStat } from '../../lab/processes.ts';

export interface CommandLines {
  /** Each line that was seen, words parted by spaces. */
  seen(): string[];
  /** Whether that process is among those whose lines are kept. */
  hasSeen(pid: number): boolean;
  stop(): void;
}

const everyMs = 100;
/** A process shows the line and the environment of the one that it came from until it has begun its program. */
const looksMax = 5;
/** Where the files of tests run; several do at once. */
const testProcess = /^\S*node\b.*\bvitest\b/;

interface SeenProcess {
  isTest: boolean;
  isClient: boolean;
  looks: number;
}

/** Looks until it is stopped; does not keep the process alive. */
export function watchCommandLines(): CommandLines {
  const processes = new Map<number, SeenProcess>();
  const lines = new Set<string>();
  const look = (): void => {
    const pids = pidsOfMachine();
    for (const pid of pids) {
      const known = processes.get(pid) ?? { isTest: false, isClient: false, looks: 0 };
      processes.set(pid, known);
      if (known.looks >= looksMax) continue;
      known.looks += 1;
      const line = readQuietly(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
      known.isTest ||= testProcess.test(line);
      known.isClient = !known.isTest && isClient(pid, processes);
      if (line !== '' && !known.isClient) lines.add(line);
    }
    const alive = new Set(pids);
    for (const pid of processes.keys()) if (!alive.has(pid)) processes.delete(pid);
  };
  look();
  const timer = setInterval(look, everyMs);
  timer.unref();
  return {
    seen() {
      look();
      return [...lines];
    },
    hasSeen: (pid) => processes.get(pid)?.isClient === false,
    stop: () => clearInterval(timer),
  };
}

/** The younger ones come after their parents. */
function pidsOfMachine(): number[] {
  const names = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return names.map(Number).sort((a, b) => a - b);
}

/** Whether a test started it, this one or another, and it is no part of a lab or a broker; or one of those started it. */
function isClient(pid: number, processes: ReadonlyMap<number, SeenProcess>): boolean {
  const parent = processes.get(processStat(pid)?.parentPid ?? 0);
  if (parent?.isTest !== true) return parent?.isClient ?? false;
  return !readQuietly(`/proc/${pid}/environ`).includes(`${labFolderVariable}=`);
}

function readQuietly(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it has ended
  }
}
