/**
 * One long-running program of the lab: started in the foreground as our child, in a process group of its own (a Ctrl-C
 * in the terminal must not reach it before we have stopped what stands on it), its output in a log file.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { LabError } from './lab-error.ts';
import { labFolderVariable, recordProcess } from './lab-folder.ts';
import { plainEnvironment } from './plain-environment.ts';
import { descendantsOf, isRunning, signalQuietly } from './processes.ts';
import { logTail, quoteLogTail, waitUntil } from './wait-until.ts';

export interface DaemonSpec {
  name: string;
  /** The lab's folder: the log goes to `logs/<name>.log` in it. */
  folder: string;
  command: string;
  args: readonly string[];
  env?: Record<string, string>;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** True once the process of that id serves; may throw, which counts as "not yet". */
  isReady: (pid: number) => Promise<boolean> | boolean;
  readyTimeoutMs: number;
  /** Patience after SIGTERM before SIGKILL; 5,000 when left out. */
  stopTimeoutMs?: number;
  stopSignal?: NodeJS.Signals;
  /** Sessions that the daemon forked end with it (sshd's would live on). */
  stopsDescendants?: boolean;
}

/** What a test may do to a daemon. Each resolves when it is done; none may run beside another of the same daemon. */
export interface DaemonControl {
  /** Starts it again on the same port and data; resolves when it serves. */
  start(): Promise<void>;
  /** SIGTERM, then SIGKILL when it takes too long. */
  stop(): Promise<void>;
  /** SIGKILL: what was not yet written is lost. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open and nothing answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
}

export interface Daemon extends DaemonControl {
  readonly name: string;
  readonly logFile: string;
  /** Of the running process; undefined while it is stopped. */
  pid(): number | undefined;
}

/** Starts the daemon and resolves when it serves. Throws `Died`, `TimedOut`, `Missing` or `PortTaken` with its log. */
export async function startDaemon(spec: DaemonSpec): Promise<Daemon> {
  const daemon = createDaemon(spec);
  await daemon.start();
  return daemon;
}

function createDaemon(spec: DaemonSpec): Daemon {
  const logFile = join(spec.folder, 'logs', `${spec.name}.log`);
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    if (child) return;
    const started = launch(spec, logFile);
    child = started;
    try {
      await waitUntil(`${spec.name} to serve`, () => spec.isReady(assertAlive(spec, started, logFile)), {
        timeoutMs: spec.readyTimeoutMs,
        logFile,
      });
    } catch (error) {
      await end('SIGKILL');
      throw error;
    }
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = child;
    child = undefined;
    if (!ending?.pid) return;
    const forked = spec.stopsDescendants ? descendantsOf([ending.pid]) : [];
    await endProcess(ending, signal, spec.stopTimeoutMs ?? 5_000);
    for (const stat of forked) if (isRunning(stat.pid, stat.startTick)) signalQuietly(stat.pid, 'SIGKILL');
  }

  const signal = (name: NodeJS.Signals) => {
    if (child?.pid) signalQuietly(child.pid, name);
  };
  const stop = () => end(spec.stopSignal ?? 'SIGTERM');
  return {
    name: spec.name,
    logFile,
    pid: () => child?.pid,
    start,
    stop,
    kill: () => end('SIGKILL'),
    restart: async () => {
      await stop();
      await start();
    },
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
  };
}

/** The control of a daemon alone, to be spread into a part. */
export function controlOf({ start, stop, kill, restart, pause, resume }: Daemon): DaemonControl {
  return { start, stop, kill, restart, pause, resume };
}

function launch(spec: DaemonSpec, logFile: string): ChildProcess {
  const log = openSync(logFile, 'a');
  const child = spawn(spec.command, spec.args, {
    env: { ...plainEnvironment(), ...spec.env, [labFolderVariable]: spec.folder },
    cwd: spec.cwd ?? spec.folder,
    stdio: ['ignore', log, log],
    detached: true,
    ...(spec.uid === undefined ? {} : { uid: spec.uid }),
    ...(spec.gid === undefined ? {} : { gid: spec.gid }),
  });
  closeSync(log);
  // A program that does not exist is told by an event; `assertAlive` turns it into an error.
  child.on('error', () => {});
  if (child.pid !== undefined) recordProcess(spec.folder, spec.name, child.pid);
  return child;
}

/** The process id; throws when the process has ended. */
function assertAlive(spec: DaemonSpec, child: ChildProcess, logFile: string): number {
  if (child.pid === undefined)
    throw new LabError('Missing', `${spec.command} is not installed: run lab/install.sh lab`);
  if (child.exitCode === null && child.signalCode === null) return child.pid;
  const fault = /address (is )?already in use|EADDRINUSE/i.test(logTail(logFile)) ? 'PortTaken' : 'Died';
  const end = child.signalCode ?? `exit code ${child.exitCode}`;
  throw new LabError(fault, `${spec.name} ended while it started (${end}).${quoteLogTail(logFile)}`);
}

async function endProcess(child: ChildProcess, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const kill = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  child.kill(signal);
  // A paused process takes no signal but SIGKILL before it goes on.
  child.kill('SIGCONT');
  await ended;
  clearTimeout(kill);
}
