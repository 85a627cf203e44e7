/** What a handler is given: the system as one user, bound for the length of one attempt of one task. */
import type { Logger } from 'pino';
import type { SystemHealth } from '../../shared/health/system-health.ts';
import type { SystemConfig } from '../../shared/platform/config/config.ts';
import type { LogsConfig } from '../../shared/platform/config/job-notices.ts';
import type { Staging } from '../../shared/staging/staging.ts';
import type { Progress } from '../../shared/tasks/task.ts';
import type { FoundJobs } from '../job-lookups/lookup-scope.ts';
import type { SchedulerAdapter, SchedulerHost } from '../schedulers/scheduler.ts';
import type { RemoteFiles } from '../ssh/remote-files.ts';
import type { RemoteShell } from '../ssh/remote-shell.ts';
import type { RemoteStats } from '../ssh/remote-stats.ts';
import type { JobWatches } from '../watches/begin-watch.ts';
import type { ByteExchange } from './byte-exchange.ts';
import type { ListingContext } from './filesystem/listing-context.ts';
import type { PathGate } from './path-gate.ts';

/** What one attempt wrote down before an effect, for the next attempt to find. Writes are fenced and durable. */
export interface Journal {
  /** What an earlier attempt wrote, or null. */
  readonly entry: Record<string, unknown> | null;
  /** Replaces the entry. Throws WorkerLost when another worker has taken the task over. */
  write(entry: Record<string, unknown>): Promise<void>;
  /** The same, with how far the work is. An attempt whose work goes on has its time limit from here anew. */
  writeMoving(entry: Record<string, unknown>, progress: Progress): Promise<void>;
}

/** What every handler is given. */
export interface BrokerContext {
  readonly task: {
    /** Names the traces of the work on the cluster; each step of a chain has its own. */
    readonly id: string;
    readonly attempt: number;
    readonly createdAt: number;
    readonly deadlineAt: number;
    /** Cancel was asked for before this attempt; it runs only to settle what an earlier one may have done. */
    readonly isCancelRequested: boolean;
  };
  /** Every configured system. */
  readonly systems: readonly SystemConfig[];
  /** What the probes last found, by system name; a system that nobody probes is not in it. StoreUnavailable. */
  readonly readHealth: () => Promise<ReadonlyMap<string, SystemHealth>>;
  /** Aborted on cancel, on the deadline and on a stop of the worker; its reason is a BrokerError. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Questions about jobs that are answered once for all who ask. Who waits for them gives up the place of the task. */
export interface SharedJobs {
  /** The job as the scheduler shows it to the user; JobNotFound, SchedulerFailed. */
  get(jobId: string): Promise<FoundJobs>;
  /** One run for all of the user's tasks that want the same at the same time; `what` is the whole question. */
  share<T>(what: readonly unknown[], work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** After a change that the user made: from now on nobody is shown to this user as it was before. */
  changed(): void;
}

/** One system as the user of the task. */
export interface SystemSide {
  readonly system: SystemConfig;
  readonly username: string;
  readonly shell: RemoteShell;
  readonly files: RemoteFiles;
  /** For paths that a handler comes to beyond those of the input, which are admitted for it. */
  readonly pathGate: PathGate;
  readonly scheduler: SchedulerAdapter;
  readonly host: SchedulerHost;
  /** Null where the system has no staging store. */
  readonly staging: Staging | null;
}

/** What the handler of an operation on a system is given besides. */
export interface OperationContext extends BrokerContext, SystemSide {
  readonly stats: RemoteStats;
  readonly listing: ListingContext;
  readonly jobs: SharedJobs;
  readonly watches: JobWatches;
  /** How output of jobs is followed. */
  readonly logs: LogsConfig;
  readonly journal: Journal;
  /** For an operation whose contract says `bytes`: the request that is held for the task. */
  readonly exchange: ByteExchange;
  /** To be told of each run of work on the cluster beyond its first; nobody wants to know where it is left out. */
  readonly noteRerun?: () => void;
  /** Another system, for an operation that acts on two. Its paths are for the handler to admit. SystemNotFound. */
  onSystem(name: string): SystemSide;
}
