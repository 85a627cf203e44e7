/** Which adapter a system's configuration names. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { createPbs } from './pbs/pbs.ts';
import { createProcessScheduler } from './process/process-scheduler.ts';
import type { SchedulerAdapter, SchedulerSettings } from './scheduler.ts';
import { createSlurmCli } from './slurm-cli/slurm-cli.ts';

/** The adapter of a system. One whose scheduler has no adapter in this version answers NotSupported to everything. */
export function createScheduler({ scheduler }: SchedulerSettings): SchedulerAdapter {
  switch (scheduler.type) {
    case 'slurm':
      return createSlurmCli(scheduler);
    case 'pbs':
      return createPbs(scheduler);
    case 'process':
      return createProcessScheduler(scheduler);
    default:
      return unsupported(scheduler.type);
  }
}

function unsupported(type: string): SchedulerAdapter {
  const refuse = async (): Promise<never> => {
    throw new BrokerError('NotSupported', `The scheduler type ${type} is not supported by this version.`);
  };
  return {
    submit: refuse,
    findByKey: refuse,
    get: refuse,
    lookUp: refuse,
    list: refuse,
    metadata: refuse,
    attach: refuse,
    cancel: refuse,
    hold: refuse,
    release: refuse,
    modify: refuse,
    estimate: refuse,
    ping: refuse,
    nodes: refuse,
    partitions: refuse,
    reservations: refuse,
    accounts: refuse,
  };
}
