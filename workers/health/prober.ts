/**
 * Which worker probes which system: the one that holds the system's lease. It is renewed while the process lives, so a
 * worker that died is followed by another one within seconds; where nobody probes, nothing counts as broken.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config, SystemConfig } from '../../shared/platform/config/config.ts';
import type { HealthStore } from '../../shared/platform/health-store.ts';
import { leaseRenewMs } from '../../shared/platform/system-leases.ts';
import { createGate } from '../runtime/concurrency-gate.ts';
import type { ObserveCall } from '../schedulers/slurm-rest/observe-calls.ts';
import type { Ssh } from '../ssh/ssh.ts';
import { createProbe } from './probe.ts';
import { createFindUsername } from './service-account.ts';
import { targetsOf } from './targets.ts';
import { watchSystem } from './watch-system.ts';

export interface ProberDependencies {
  config: Pick<Config, 'health' | 'authentication'>;
  /** The systems that this worker serves. */
  systems: readonly SystemConfig[];
  ssh: Ssh;
  /** Who is told of what a probe asks of a system's slurmrestd. */
  observe: (system: string) => ObserveCall;
  store: HealthStore;
  worker: string;
  log: Logger;
}

export interface Prober {
  /** Gives the leases back, so that another worker goes on at once. Idempotent. */
  stop(): Promise<void>;
}

/** Probes that one worker makes at once. */
const probesAtOnceMax = 64;

/** Starts at once; does nothing at all where no system has services to probe. */
export function startProber(deps: ProberDependencies): Prober {
  const stopped = new AbortController();
  const watchers = createWatchers(deps);
  const names = watchers.names;
  const lead = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        watchers.follow(await deps.store.lead(names, deps.worker));
      } catch (error) {
        deps.log.warn({ err: error }, 'the leases of the probes could not be renewed');
      }
      await sleep(leaseRenewMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  };
  const running = names.length === 0 ? Promise.resolve() : lead();
  return {
    async stop() {
      stopped.abort();
      watchers.follow([]);
      await running;
      watchers.follow([]); // a renewal may have come back meanwhile
      await deps.store.release(names, deps.worker);
    },
  };
}

/** Starts and ends the watch of each system as its lease comes and goes. */
function createWatchers({ config, systems, ssh, observe, store, worker, log }: ProberDependencies) {
  const gate = createGate(probesAtOnceMax);
  const issuer = config.authentication.issuers.find(({ tokenUrl }) => tokenUrl !== null);
  const running = new Map<string, AbortController>();
  const starters = new Map(
    systems.flatMap((system) => {
      const targets = targetsOf(system);
      if (targets.length === 0) return [];
      const systemLog = log.child({ system: system.name });
      const findUsername = createFindUsername(system.serviceAccount, issuer);
      const start = (signal: AbortSignal): Promise<void> =>
        watchSystem({
          ...{ system: system.name, targets, gate, store, worker, signal, log: systemLog },
          probe: createProbe({ system, ssh, findUsername, observe: observe(system.name), log: systemLog }),
          rules: { ...config.health, intervalMs: system.probing.intervalMs },
        });
      return [[system.name, start] as const];
    }),
  );

  const begin = (name: string): void => {
    const controller = new AbortController();
    running.set(name, controller);
    log.info({ system: name }, 'this worker probes the system');
    const forget = () => {
      if (running.get(name) === controller) running.delete(name);
    };
    starters
      .get(name)?.(controller.signal)
      .catch((error: unknown) => log.warn({ err: error, system: name }, 'the probes of a system ended'))
      .finally(forget);
  };

  return {
    names: [...starters.keys()],
    /** Watches these systems and no others. */
    follow(held: readonly string[]): void {
      for (const [name, controller] of running) {
        if (held.includes(name)) continue;
        controller.abort();
        running.delete(name);
      }
      for (const name of held) if (!running.has(name)) begin(name);
    },
  };
}
