/** Queues as partitions, by `qstat -Q -f -F json`, and the server's own word, by `qstat -B -f -F json`. */
import type { Partition } from '../../../shared/operations/status/partitions.ts';
import { objectOf, type PbsObject, textOf } from './pbs-json.ts';
import { wholeNumber } from './pbs-values.ts';

export function buildQueues(): string[] {
  return ['qstat', '-Q', '-f', '-F', 'json'];
}

export function readQueues(document: PbsObject): Partition[] {
  return [...objectOf(document, 'Queue')].flatMap(([name, attributes]) => {
    if (!(attributes instanceof Map)) return [];
    const available = objectOf(attributes, 'resources_available');
    const totalNodes = textOf(available, 'nodect') ?? textOf(available, 'nodes');
    const cpus = wholeNumber(textOf(available, 'ncpus'));
    return [{ name, cpus, totalNodes: wholeNumber(totalNodes), partition: stateOf(attributes) }];
  });
}

/** `enabled`: takes jobs. `started`: lets them run. The same four cases as Slurm's states of a partition. */
function stateOf(attributes: PbsObject): string {
  const isSet = (name: string) => textOf(attributes, name)?.toLowerCase() === 'true';
  if (isSet('started')) return isSet('enabled') ? 'UP' : 'DRAIN';
  return isSet('enabled') ? 'DOWN' : 'INACTIVE';
}

export function buildServer(): string[] {
  return ['qstat', '-B', '-f', '-F', 'json'];
}

/** Whether the server takes requests: it is neither shutting down nor a stand-by. */
export function isServerUp(document: PbsObject): boolean {
  const upStates = new Set(['Active', 'Scheduling', 'Idle', 'Hot_Start']);
  const servers = [...objectOf(document, 'Server').values()];
  return servers.some((server) => server instanceof Map && upStates.has(textOf(server, 'server_state') ?? ''));
}
