/** The host itself, as the one node there is. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Node } from '../../../shared/operations/status/nodes.ts';
import { noPartition } from './process-job.ts';

/**
 * What the host program prints: `host vm`, `cpus 2`, `load 1.98`, `MemAvailable:   21034123 kB` and of /proc/cpuinfo the
 * distinct lines of `physical id`, `cpu cores` and `siblings`. SchedulerFailed where name or processors are missing.
 */
export function parseHost(output: string): Node {
  const texts = (pattern: RegExp): string[] => [...output.matchAll(pattern)].map(([, text = '']) => text);
  const number = (pattern: RegExp): number | null => {
    const [text] = texts(pattern);
    return text === undefined ? null : Number(text);
  };
  const [name] = texts(/^host (\S+)$/gm);
  const cpus = number(/^cpus (\d+)$/gm);
  if (name === undefined || cpus === null) {
    throw new BrokerError('SchedulerFailed', 'The state of the host could not be read.', { detail: { output } });
  }
  const sockets = texts(/^physical id\s*: (\d+)$/gm).length;
  const cores = number(/^cpu cores\s*: (\d+)$/gm);
  const siblings = number(/^siblings\s*: (\d+)$/gm);
  const freeKib = number(/^MemAvailable:\s*(\d+) kB$/gm);
  return {
    name,
    address: null,
    hostname: name,
    // Whatever else the host does counts as much as jobs: nothing is allocated to anybody.
    state: ['IDLE'],
    sockets: sockets === 0 ? null : sockets,
    cores,
    threads: cores === null || siblings === null || cores === 0 ? null : Math.max(1, Math.floor(siblings / cores)),
    cpus,
    cpuLoad: number(/^load (\d+(?:\.\d+)?)$/gm),
    freeMemory: freeKib === null ? null : Math.floor(freeKib / 1024),
    allocMemory: null,
    allocCpus: null,
    idleCpus: null,
    features: null,
    partitions: [noPartition],
    weight: null,
  };
}
