/**
 * The lab: real parts on one machine, started together, stopped together. Parts start in parallel; each stop is by
 * pid, and whatever ends the owner ends the lab (a SIGKILL of the owner: at the next start of any lab).
 */

import { LabError } from './lab-error.ts';
import { createLabFolder, reapDeadLabs, reapLab } from './lab-folder.ts';
import { type OidcPart, startOidc } from './parts/oidc.ts';
import { type OpenFgaPart, startOpenFga } from './parts/openfga.ts';
import { type RedisPart, startRedis } from './parts/redis.ts';
import { type S3Part, startS3 } from './parts/s3.ts';
import { type SlurmOptions, type SlurmPart, startSlurm } from './parts/slurm.ts';
import { type SshdOptions, type SshdPart, startSshd } from './parts/sshd.ts';
import { slurmEnvironment } from './slurm/daemons.ts';
import { type LabUser, prepareUsers } from './users.ts';

/** Every part there is, in the order in which they are listed. */
export const partNames = ['redis', 'sshd', 'slurm', 's3', 'openfga', 'oidc'] as const;

export type PartName = (typeof partNames)[number];

export interface LabOptions {
  /** All when left out. */
  parts?: readonly PartName[];
  /** So many load users gcload001, … beside the people of the lab (100 at most); none when left out. */
  loadUsers?: number;
  /** Short names of the people to have; all when left out. */
  people?: readonly string[];
  sshd?: SshdOptions;
  slurm?: SlurmOptions;
  /** Stop the lab and end the process on SIGINT, SIGTERM and SIGHUP; true when left out. */
  handlesSignals?: boolean;
  /** Told of each part that serves, with the time since the start of the lab. */
  onPartStarted?: (part: PartName, tookMs: number) => void;
}

interface Parts {
  redis: RedisPart;
  sshd: SshdPart;
  slurm: SlurmPart;
  s3: S3Part;
  openfga: OpenFgaPart;
  oidc: OidcPart;
}

/** Using a part that was not started throws `NotStarted`. */
export interface Lab extends Readonly<Parts> {
  readonly folder: string;
  readonly users: readonly LabUser[];
  readonly parts: readonly PartName[];
  /** The part, or undefined when it was not started. */
  find<Name extends PartName>(part: Name): Parts[Name] | undefined;
  /** Ends every process and removes the folder. May be called twice. */
  stop(): Promise<void>;
}

/** Starts the parts; when one fails, stops all and throws its error, which quotes the end of its log. */
export async function startLab(options: LabOptions = {}): Promise<Lab> {
  reapDeadLabs();
  const folder = createLabFolder();
  const releaseProcess = holdProcess(folder, options.handlesSignals ?? true);
  const stop = async () => {
    reapLab(folder);
    releaseProcess();
  };
  try {
    const users = await prepareUsers({
      folder,
      loadUsers: options.loadUsers ?? 0,
      ...(options.people === undefined ? {} : { people: options.people }),
    });
    const parts = await startParts(folder, users, options);
    return composeLab(folder, users, parts, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startParts(folder: string, users: readonly LabUser[], options: LabOptions): Promise<Partial<Parts>> {
  const wanted = new Set<PartName>(options.parts ?? partNames);
  const sessionEnvironment = wanted.has('slurm') ? slurmEnvironment(folder) : {};
  const starters: { [Name in PartName]: () => Promise<Parts[Name]> } = {
    redis: () => startRedis(folder),
    sshd: () => startSshd({ ...options.sshd, folder, users, sessionEnvironment }),
    slurm: () => startSlurm(folder, users, options.slurm),
    s3: () => startS3(folder),
    openfga: () => startOpenFga(folder),
    oidc: () => startOidc(folder, users),
  };
  const startedAt = performance.now();
  const parts: Partial<Parts> = {};
  const startOne = async <Name extends PartName>(name: Name) => {
    parts[name] = await (starters[name] as () => Promise<Partial<Parts>[Name]>)();
    options.onPartStarted?.(name, Math.round(performance.now() - startedAt));
  };
  // All must have settled before anything is stopped, or a part would go on starting what nobody stops.
  const results = await Promise.allSettled(partNames.filter((name) => wanted.has(name)).map(startOne));
  const failures = results.filter((result) => result.status === 'rejected').map((result) => result.reason as unknown);
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join('\n\n'));
  return parts;
}

function composeLab(folder: string, users: readonly LabUser[], parts: Partial<Parts>, stop: () => Promise<void>): Lab {
  const part = <Name extends PartName>(name: Name): Parts[Name] => {
    const found = parts[name];
    if (!found) throw new LabError('NotStarted', `The part ${name} was not started in this lab`);
    return found as Parts[Name];
  };
  return {
    folder,
    users,
    parts: partNames.filter((name) => parts[name] !== undefined),
    find: (name) => parts[name],
    stop,
    get redis() {
      return part('redis');
    },
    get sshd() {
      return part('sshd');
    },
    get slurm() {
      return part('slurm');
    },
    get s3() {
      return part('s3');
    },
    get openfga() {
      return part('openfga');
    },
    get oidc() {
      return part('oidc');
    },
  };
}

/** Between a signal and the end of the process, so that other listeners and messages have their turn. */
export const signalGraceMs = 50;

/** Ties the lab's life to this process; the answer unties it. */
function holdProcess(folder: string, handlesSignals: boolean): () => void {
  const reap = () => reapLab(folder);
  const signals: NodeJS.Signals[] = handlesSignals ? ['SIGINT', 'SIGTERM', 'SIGHUP'] : [];
  // The exit handler below does the work; an exit code of 130 or 143 tells the shell what happened.
  const handlers = signals.map((signal) => {
    // Not at once: the tsx command line, where it stands before us, kills who does not confirm the signal to it.
    const exit = () => setTimeout(() => process.exit(signal === 'SIGINT' ? 130 : 143), signalGraceMs);
    // Not `once`: a second Ctrl-C would then end the process at once, in the middle of its cleaning up.
    process.on(signal, exit);
    return () => process.off(signal, exit);
  });
  process.once('exit', reap);
  return () => {
    process.off('exit', reap);
    for (const release of handlers) release();
  };
}
