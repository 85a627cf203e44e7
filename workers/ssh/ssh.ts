/** Everything a worker does over SSH, bound to systems by name: commands, files, stats and names. */
import type { Logger } from 'pino';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { type ConnectionPool, createConnectionPool } from './connection-pool.ts';
import type { CredentialProvider, SshCredential } from './credentials/credential-provider.ts';
import { type FreshHost, logInFresh } from './fresh-host.ts';
import type { HandshakeLimiter } from './handshake-limiter.ts';
import { createHostKeyVerifier } from './host-keys.ts';
import type { LoginRoute, LoginTarget } from './log-in.ts';
import { createNameService, type NameService } from './name-service.ts';
import type { ObserveCommand } from './observe-command.ts';
import type { SshSystemOptions } from './options.ts';
import { createRemoteFiles, type RemoteFiles } from './remote-files.ts';
import { createRemoteShell, type RemoteShell, type ShellDefaults } from './remote-shell.ts';
import { createRemoteStats, type RemoteStats, type StatHost } from './remote-stats.ts';
import { createWarmChannels } from './warm-channels.ts';
import { createWarmFileLoop } from './warm-file-loop.ts';

export interface SshDependencies {
  readonly systems: readonly SshSystemOptions[];
  /** Provider per system name. */
  readonly credentials: (system: string) => CredentialProvider;
  readonly handshakes: HandshakeLimiter;
  readonly log: Logger;
  readonly observe?: ObserveCommand;
}

/** Counters of one system; for metrics. */
export interface SshSystemStats {
  readonly system: string;
  readonly connectionsOpen: number;
  readonly connectionsIdle: number;
  readonly users: number;
  readonly slotsInUse: number;
  readonly slotsWaiting: number;
  /** Since start. */
  readonly connectionsOpened: number;
  /** Connections that could not be opened, by error code. */
  readonly failures: ReadonlyMap<string, number>;
  readonly channelsRefused: number;
  readonly fileChannelsDropped: number;
}

/** Each method throws SystemNotFound for a name that was not configured. The parts are cheap to ask for, per request. */
export interface Ssh {
  shell(system: string, username: string): RemoteShell;
  files(system: string, username: string): RemoteFiles;
  stats(system: string, username: string): RemoteStats;
  names(system: string): NameService;
  /** What a login as the user takes. Throws what the provider throws. */
  credentialFor(system: string, username: string): Promise<SshCredential>;
  /** A login outside the pools, for probes; as `logInFresh`. */
  logInFresh(system: string, username: string, credential: SshCredential, timeoutMs: number): Promise<FreshHost>;
  poolStats(): SshSystemStats[];
  /** Waits up to `drainMs` (default 10,000) for work in flight, then closes every connection. Idempotent. */
  close(drainMs?: number): Promise<void>;
}

/** What is kept for one user: warm channels belong to it, so requests of a user share them. */
interface UserParts {
  readonly shell: RemoteShell;
  readonly files: RemoteFiles;
  readonly stats: RemoteStats;
}

interface System {
  readonly options: SshSystemOptions;
  readonly route: LoginRoute;
  readonly credentials: CredentialProvider;
  readonly pool: ConnectionPool;
  readonly names: NameService;
  readonly users: Map<string, UserParts>;
  readonly statHost: StatHost;
  fileChannelsDropped: number;
}

/** Users whose parts are remembered; the channels of a forgotten one close when idle. */
const usersMax = 10_000;
const sftpChannelsMax = 3;
/** One for files, one for stats, and two for commands. */
const slotsMin = 4;

/** Reads host keys and opens nothing. Throws Error for options that cannot work. */
export function createSsh(dependencies: SshDependencies): Ssh {
  const { log, observe } = dependencies;
  const systems = new Map(dependencies.systems.map((options) => [options.name, createSystem(options, dependencies)]));

  function systemOf(name: string): System {
    const system = systems.get(name);
    if (!system) throw new BrokerError('SystemNotFound', `System ${name} not found.`);
    return system;
  }

  return {
    shell: (system, username) => partsOf(systemOf(system), username, { log, ...observing(observe, system) }).shell,
    files: (system, username) => partsOf(systemOf(system), username, { log, ...observing(observe, system) }).files,
    stats: (system, username) => partsOf(systemOf(system), username, { log, ...observing(observe, system) }).stats,
    names: (system) => systemOf(system).names,
    credentialFor: async (system, username) => systemOf(system).credentials.credentialFor(system, username),
    logInFresh: async (system, username, credential, timeoutMs) =>
      logInFresh({
        ...{ route: systemOf(system).route, username, credential, timeoutMs, log },
        ...observing(observe, system),
      }),
    poolStats: () =>
      [...systems.values()].map(({ options, pool, fileChannelsDropped }) => ({
        system: options.name,
        ...pool.stats(),
        fileChannelsDropped,
      })),
    async close(drainMs) {
      await Promise.all([...systems.values()].map(({ pool }) => pool.close(drainMs)));
    },
  };
}

function createSystem(options: SshSystemOptions, { credentials, handshakes, log }: SshDependencies): System {
  const systemLog = log.child({ system: options.name });
  const target = (place: Omit<LoginTarget, 'verifier'> & Pick<SshSystemOptions, 'hostKeys'>): LoginTarget => ({
    host: place.host,
    port: place.port,
    verifier: createHostKeyVerifier(place.hostKeys, place, systemLog),
  });
  const { connectTimeoutMs, loginTimeoutMs, keepAliveMs, idleTimeoutMs } = options;
  const hops = options.proxy ? 2 : 1;
  const bounds = {
    channelsPerConnectionMax: options.channelsPerConnectionMax ?? 8,
    connectionsMax: Math.min(options.connectionsPerUserMax ?? 4, options.connectionsMax),
    slotWaitMs: options.slotWaitMs ?? 10_000,
    slotWaitersMax: options.slotWaitersMax ?? 256,
    idleTimeoutMs,
    openTimeoutMs: hops * (connectTimeoutMs + loginTimeoutMs),
  };
  if (bounds.channelsPerConnectionMax * bounds.connectionsMax < slotsMin) {
    throw new Error(`System ${options.name}: a user needs at least ${slotsMin} SSH channels`);
  }
  const route = {
    target: target(options),
    ...(options.proxy ? { jump: target(options.proxy) } : {}),
    ...{ connectTimeoutMs, loginTimeoutMs, keepAliveMs, handshakes },
  };
  const provider = credentials(options.name);
  const pool = createConnectionPool({
    system: options.name,
    route,
    bounds,
    connectionsMax: options.connectionsMax,
    credentials: provider,
    log: systemLog,
  });
  return {
    ...{ options, route, credentials: provider, pool },
    names: createNameService(),
    users: new Map(),
    statHost: { loopMissingUntil: 0 },
    fileChannelsDropped: 0,
  };
}

type Observing = Pick<ShellDefaults, 'log' | 'observe'>;

/** What a shell of the system is told by. */
function observing(observe: ObserveCommand | undefined, system: string): Pick<ShellDefaults, 'observe'> {
  return observe === undefined ? {} : { observe: (command) => observe({ ...command, system }) };
}

function partsOf(system: System, username: string, observed: Observing): UserParts {
  const known = system.users.get(username);
  const parts = known ?? createParts(system, username, observed);
  system.users.delete(username); // to the end of the order, which is that of use
  system.users.set(username, parts);
  const [oldest] = system.users.keys();
  if (system.users.size > usersMax && oldest !== undefined) system.users.delete(oldest);
  return parts;
}

function createParts(system: System, username: string, { log, observe }: Observing): UserParts {
  const { options, pool } = system;
  const { idleTimeoutMs, commandTimeoutMs } = options;
  const fileTimeoutMs = options.fileTimeoutMs ?? commandTimeoutMs;
  const slots = (options.channelsPerConnectionMax ?? 8) * (options.connectionsPerUserMax ?? 4);
  const shell = createRemoteShell(pool, username, {
    timeoutMs: commandTimeoutMs,
    outputBytesMax: options.outputBytesMax ?? 5 * 1024 * 1024,
    log: log.child({ system: options.name }),
    ...(observe ? { observe } : {}),
  });
  const channels = createWarmChannels(pool, username, {
    channelsMax: Math.min(sftpChannelsMax, Math.floor(slots / slotsMin)),
    idleTimeoutMs,
    openTimeoutMs: fileTimeoutMs,
    onDropped: () => {
      system.fileChannelsDropped += 1;
    },
  });
  return {
    shell,
    files: createRemoteFiles(
      channels,
      { timeoutMs: fileTimeoutMs },
      createWarmFileLoop(pool, username, { idleMs: idleTimeoutMs, observe }),
    ),
    stats: createRemoteStats(pool, shell, username, {
      ...{ timeoutMs: fileTimeoutMs, idleTimeoutMs, host: system.statHost },
      ...(observe ? { observe } : {}),
    }),
  };
}
