/** Which adapter a system's configuration names. */
import { readFileSync } from 'node:fs';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { createPbs } from './pbs/pbs.ts';
import { createProcessScheduler } from './process/process-scheduler.ts';
import type { SchedulerAdapter, SchedulerSettings } from './scheduler.ts';
import { createSlurmCli } from './slurm-cli/slurm-cli.ts';
import { type ObserveCall, observeCalls } from './slurm-rest/observe-calls.ts';
import { createRestClient } from './slurm-rest/rest-client.ts';
import { createSlurmHybrid, createSlurmRest } from './slurm-rest/slurm-rest.ts';
import { createMint } from './slurm-rest/user-token.ts';

/**
 * The adapter of a system. One whose scheduler has no adapter in this version answers NotSupported to everything.
 * `observe` is told of what does not go by a shell.
 */
export function createScheduler({ scheduler }: SchedulerSettings, observe?: ObserveCall): SchedulerAdapter {
  switch (scheduler.type) {
    case 'slurm':
      return createSlurm(scheduler, observe);
    case 'pbs':
      return createPbs(scheduler);
    case 'process':
      return createProcessScheduler(scheduler);
    default:
      return unsupported(scheduler.type);
  }
}

/** Reads the key and the certificates of slurmrestd, once. Throws where they cannot be read. */
function createSlurm(scheduler: SchedulerSettings['scheduler'], observe: ObserveCall | undefined): SchedulerAdapter {
  const { connectionMode = 'ssh', apiUrl, apiVersion, slurmrestd, timeoutMs } = scheduler;
  const cli = createSlurmCli(scheduler);
  if (connectionMode === 'ssh') return cli;
  if (!apiUrl || !slurmrestd) throw new Error(`connection_mode ${connectionMode} needs an api_url and a jwt_key_file`);
  const client = createRestClient({
    url: apiUrl,
    ca: slurmrestd.caFile === null ? null : readFileSync(slurmrestd.caFile, 'utf8'),
    timeoutMs,
    mint: createMint(readFileSync(slurmrestd.jwtKeyFile), timeoutMs),
  });
  const rest = createSlurmRest({
    rest: observe === undefined ? client : observeCalls(client, observe),
    apiVersion: apiVersion ?? null,
  });
  return connectionMode === 'rest' ? rest : createSlurmHybrid(rest, cli);
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
    usage: refuse,
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
