/** Which worker watches the jobs of which system: the one that holds the lease. One that died is followed within seconds. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { CheckConsent } from '../../shared/authorization/check-consent.ts';
import type { SystemConfig } from '../../shared/platform/config/config.ts';
import type { WatchesConfig } from '../../shared/platform/config/job-notices.ts';
import { leaseRenewMs } from '../../shared/platform/system-leases.ts';
import type { WatchStore } from '../../shared/platform/watch-store.ts';
import { createPathGate } from '../operations/path-gate.ts';
import { createRealRoots } from '../operations/real-roots.ts';
import type { SchedulerAdapter } from '../schedulers/scheduler.ts';
import type { Ssh } from '../ssh/ssh.ts';
import { watchSystem } from './watch-system.ts';

export interface WatcherDeps {
  /** The systems that this worker serves. */
  systems: readonly SystemConfig[];
  schedulers: ReadonlyMap<string, SchedulerAdapter>;
  /** The name of a system's service account; a system without one is not in it. */
  accounts: ReadonlyMap<string, () => Promise<string>>;
  ssh: Ssh;
  checkConsent: CheckConsent;
  store: WatchStore;
  settings: WatchesConfig;
  worker: string;
  log: Logger;
}

export interface Watcher {
  /** Gives the leases back, so that another worker goes on at once. */
  stop(): Promise<void>;
}

export function startWatcher(deps: WatcherDeps): Watcher {
  const { systems, store, worker, log } = deps;
  const names = systems.map(({ name }) => name);
  const stopped = new AbortController();
  const running = new Map<string, { controller: AbortController; done: Promise<void> }>();
  const begin = createBeginner(deps);

  const follow = (held: readonly string[]): void => {
    for (const [name, { controller }] of running) {
      if (held.includes(name)) continue;
      controller.abort();
      running.delete(name);
    }
    for (const name of held) {
      if (running.has(name)) continue;
      const controller = new AbortController();
      const done = begin(name, controller.signal)
        .catch((error: unknown) =>
          log.warn({ err: error, system: name }, 'the watch of jobs broke off and begins anew'),
        )
        .finally(() => {
          if (running.get(name)?.controller === controller) running.delete(name);
        });
      running.set(name, { controller, done });
    }
  };

  const lead = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        follow(await store.lead(names, worker));
      } catch (error) {
        log.warn({ err: error }, 'the leases of the watches could not be renewed');
      }
      await sleep(leaseRenewMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  };
  const leading = lead();

  return {
    async stop() {
      stopped.abort();
      await leading;
      const ending = [...running.values()].map(({ done }) => done);
      follow([]);
      await Promise.all(ending);
      await store.release(names, worker);
    },
  };
}

function createBeginner({ systems, schedulers, accounts, ssh, checkConsent, store, settings, log }: WatcherDeps) {
  const byName = new Map(systems.map((system) => [system.name, system]));
  const realRootsOf = createRealRoots();
  return async (name: string, signal: AbortSignal): Promise<void> => {
    const system = byName.get(name);
    const scheduler = schedulers.get(name);
    if (system === undefined || scheduler === undefined) return;
    const roots = system.fileSystems.map(({ path }) => path);
    await watchSystem({
      ...{ system: name, scheduler, checkConsent, store, settings, signal, log: log.child({ system: name }) },
      hostOf: (username) => ({ username, shell: ssh.shell(name, username), files: ssh.files(name, username) }),
      gateOf(username) {
        const files = ssh.files(name, username);
        const realRoots = realRootsOf(`${name} ${username}`, files);
        return createPathGate({ systemName: name, roots, realRoots, files, stats: ssh.stats(name, username) });
      },
      findAccount: async () => (await accounts.get(name)?.()) ?? null,
    });
  };
}
