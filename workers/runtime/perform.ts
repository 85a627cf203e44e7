/** Builds the context of one attempt and runs the handler: which system, as whom, with which scheduler. */
import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import type { PathChecker } from '../../shared/authorization/access-checker.ts';
import { missingPaths } from '../../shared/authorization/missing-access.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { admitPaths } from '../../shared/operations/paths.ts';
import type { OperationName } from '../../shared/operations/registry.ts';
import type { SystemConfig } from '../../shared/platform/config/config.ts';
import type { LogsConfig } from '../../shared/platform/config/job-notices.ts';
import type { TaskStore } from '../../shared/platform/task-store.ts';
import type { Staging } from '../../shared/staging/staging.ts';
import { takesResults, traceIdOf } from '../../shared/tasks/chain.ts';
import type { SharedJobsOf } from '../job-lookups/shared-jobs.ts';
import { heldBack } from '../operations/byte-exchange.ts';
import type { LocalTime } from '../operations/filesystem/local-time.ts';
import { findLocalTime } from '../operations/filesystem/system-local-time.ts';
import { handlers, looksAhead } from '../operations/handlers.ts';
import type { BrokerContext, OperationContext, SystemSide } from '../operations/operation-context.ts';
import { createPathGate } from '../operations/path-gate.ts';
import { createRealRoots } from '../operations/real-roots.ts';
import type { SchedulerAdapter } from '../schedulers/scheduler.ts';
import type { RemoteFiles } from '../ssh/remote-files.ts';
import type { RemoteShell } from '../ssh/remote-shell.ts';
import type { Ssh } from '../ssh/ssh.ts';
import type { JobWatchesOf } from '../watches/begin-watch.ts';
import type { InternalPort } from './internal-port.ts';
import { createMeeting, type Meeting } from './meet-request.ts';
import { onBehalfOf, originOf } from './record-work.ts';
import { sshHostOf } from './ssh-settings.ts';
import type { Attempt } from './task-runner.ts';

export interface PerformDependencies {
  systems: readonly SystemConfig[];
  ssh: Ssh;
  /** Adapter per system name. */
  schedulers: ReadonlyMap<string, SchedulerAdapter>;
  readHealth: BrokerContext['readHealth'];
  /** What tasks on a system may ask about jobs together with others. */
  sharedJobs: SharedJobsOf;
  /** The watches that tasks may set. */
  watchesOf: JobWatchesOf;
  /** How output of jobs is followed. */
  logs: LogsConfig;
  /** Where the request comes that is held for a task of bytes, and how it is told so. */
  port: InternalPort;
  tell: TaskStore['announce'];
  /** Store per system name, for systems that have one. */
  stagings: ReadonlyMap<string, Staging>;
  /** Whether a grant for some directories reaches what is asked for; null: there are none such, for what the built-in policy let in. */
  checkPaths: PathChecker | null;
  /** Told of each run of work on a system beyond its first. */
  noteRerun?: (system: string) => void;
  log: Logger;
}

/** A system's zone does not move; it is read again now and then all the same. */
const localTimeKeepMs = 3_600_000;
const localTimesMax = 10_000;

type AnyHandler<Context> = (input: unknown, context: Context, looked?: Promise<unknown>) => Promise<unknown>;
type AnyLook = (input: unknown, context: OperationContext) => Promise<unknown> | undefined;

export function createPerform(deps: PerformDependencies) {
  const systems = new Map(deps.systems.map((system) => [system.name, system]));
  const localTimes = new Map<string, { at: number; value: Promise<LocalTime> }>();
  const realRootsOf = createRealRoots();

  // Kept for each user: what a user's login says of the time, or that it fails, is that user's affair.
  const localTimeOf = (owner: string, host: { files: RemoteFiles; shell: RemoteShell }): Promise<LocalTime> => {
    const known = localTimes.get(owner);
    if (known && Date.now() - known.at < localTimeKeepMs) return known.value;
    const value = findLocalTime(host);
    if (localTimes.size >= localTimesMax) localTimes.clear();
    localTimes.set(owner, { at: Date.now(), value });
    value.catch(() => localTimes.delete(owner));
    return value;
  };

  const sideOf = (name: string, operation: Operation, { task, input }: Attempt): SystemSide => {
    const system = systems.get(name);
    const scheduler = deps.schedulers.get(name);
    if (!system || !scheduler) throw new BrokerError('SystemNotFound', 'System not found');
    const { username } = task.principal;
    const origin = originOf(task, operation);
    const at = sshHostOf(system, operation.lane);
    const shell = onBehalfOf(deps.ssh.shell(at, username), origin);
    const files = deps.ssh.files(at, username);
    const stats = deps.ssh.stats(at, username);
    const roots = system.fileSystems.map(({ path }) => path);
    const realRoots = realRootsOf(`${at} ${username}`, files);
    const { principal, address } = task;
    const checkPaths = deps.checkPaths ?? (task.policy === 'openfga' ? missingPaths : null);
    const also = operation.alsoRelation?.(input as never) ?? null;
    const checkReach = async (locations: readonly string[]): Promise<void> => {
      await checkPaths?.(principal, operation.relation, name, locations, address ?? undefined);
      if (also !== null) await checkPaths?.(principal, also, name, [], address ?? undefined);
    };
    const reach = checkPaths === null ? {} : { checkReach };
    const pathGate = createPathGate({ systemName: name, roots, realRoots, files, stats, ...reach });
    const host = { username, shell, files, origin };
    return { system, username, shell, files, pathGate, scheduler, host, staging: deps.stagings.get(name) ?? null };
  };

  const systemContext = (
    base: BrokerContext,
    operation: Operation,
    attempt: Attempt,
    { exchange }: Meeting,
  ): OperationContext => {
    const name = attempt.task.system ?? '';
    const { username } = attempt.task.principal;
    const side = sideOf(name, operation, attempt);
    const { system, shell, files, scheduler, host } = side;
    const at = sshHostOf(system, operation.lane);
    const usersShell = deps.ssh.shell(at, username);
    const names = deps.ssh.names(at);
    return {
      ...base,
      ...side,
      stats: deps.ssh.stats(at, username),
      listing: {
        users: (uids) => names.users(shell, uids, usersShell),
        groups: (gids) => names.groups(shell, gids, usersShell),
        localTime: () => localTimeOf(`${name} ${username}`, { files, shell }),
      },
      jobs: deps.sharedJobs({ system, scheduler, host }, attempt),
      watches: deps.watchesOf(attempt.task),
      logs: deps.logs,
      journal: attempt.journal,
      exchange,
      noteRerun: () => deps.noteRerun?.(name),
      onSystem: (other) => sideOf(other, operation, attempt),
    };
  };

  /** Throws what the handler throws; PathNotAllowed; SystemNotFound for a system that is no longer configured. */
  return async (operation: Operation, attempt: Attempt): Promise<unknown> => {
    const { attempt: number, createdAt, deadlineAt, isCancelRequested } = attempt.task;
    const id = traceIdOf(attempt.task);
    const base: BrokerContext = {
      task: { id, attempt: number, createdAt, deadlineAt, isCancelRequested },
      systems: deps.systems,
      readHealth: deps.readHealth,
      signal: attempt.signal,
      log: attempt.log,
    };
    const handler: unknown = handlers[operation.name as OperationName];
    if (operation.scope === 'none') await attempt.claimed;
    if (operation.scope === 'none') return (handler as AnyHandler<BrokerContext>)(attempt.input, base);
    const meeting = createMeeting({
      port: deps.port,
      direction: operation.bytes ?? 'out',
      tell: (url) => deps.tell(attempt.task, url),
      signal: attempt.signal,
    });
    try {
      const context = systemContext(base, operation, attempt, meeting);
      const input = takesResults(attempt.task) ? admitResults(operation, attempt.input, context) : attempt.input;
      return await runAdmitted(operation, input, context, attempt.claimed, handler as AnyHandler<OperationContext>);
    } finally {
      meeting.close();
    }
  };
}

/** What the API looks at in an input, of one that it could not know: the step before had not run. PathNotAllowed, InvalidRequest. */
function admitResults(operation: Operation, input: unknown, { system }: OperationContext): unknown {
  const roots = system.fileSystems.map(({ path }) => path);
  const admitted = admitPaths(operation, input as Record<string, unknown>, { systemName: system.name, roots });
  operation.admit?.(admitted, system);
  return admitted;
}

/** Throws PathNotAllowed before the handler has an effect, and whatever it says of a place that it may not reach. */
async function runAdmitted(
  operation: Operation,
  input: unknown,
  context: OperationContext,
  claimed: Promise<void>,
  handler: AnyHandler<OperationContext>,
): Promise<unknown> {
  const { paths, admission = 'before' } = operation;
  // What goes on with what an earlier look began was admitted then. Without a path the grant must be for all of the system.
  const isAdmitted = context.journal.entry !== null;
  const admit = async (): Promise<void> => {
    if (!isAdmitted) await context.pathGate.admit(operation, input, context.signal);
  };
  if (isAdmitted || paths.length === 0 || admission === 'before') {
    const look = (looksAhead as Partial<Record<string, AnyLook>>)[operation.name];
    const looked = look?.(input, context);
    looked?.catch(() => undefined); // told by the handler, of a place that it may reach
    await Promise.all([claimed, admit()]);
    return handler(input, context, looked);
  }
  return await runWhileAdmitted(input, context, admit, handler);
}

/** Withholds what the handler answers or throws, its commands, and its bytes, until its paths are admitted. */
async function runWhileAdmitted(
  input: unknown,
  context: OperationContext,
  admit: () => Promise<void>,
  handler: AnyHandler<OperationContext>,
): Promise<unknown> {
  const stop = new AbortController(); // AbortSignal.any would cost more than all the rest
  setMaxListeners(0, stop.signal); // each request of a listing listens
  const onAbort = (): void => stop.abort(context.signal.reason);
  context.signal.addEventListener('abort', onAbort, { once: true });
  if (context.signal.aborted) onAbort();
  const admission = admit();
  admission.catch(() => undefined); // told below
  const held = {
    exchange: heldBack(context.exchange, admission),
    shell: { run: (...command: Parameters<RemoteShell['run']>) => admission.then(() => context.shell.run(...command)) },
  };
  try {
    const run = async (): Promise<unknown> => handler(input, { ...context, ...held, signal: stop.signal });
    const result = run(); // what it throws at once is withheld as well
    result.catch(() => undefined); // told below, once it may be
    await admission;
    return await result;
  } catch (error) {
    stop.abort(error); // the handler of a refused path
    throw error;
  } finally {
    context.signal.removeEventListener('abort', onAbort);
  }
}
