/** sinfo(1): the nodes, one row for each partition a node is in. */
import type { Node, NodeState } from '../../../shared/operations/status/nodes.ts';
import type { SchedulerHost } from '../scheduler.ts';
import { newDelimiter, parseRows, type Row } from './delimited.ts';
import { failed, type Run } from './slurm-command.ts';
import { textOrNull, wholeNumber } from './values.ts';

const nodeFields = [
  'NodeList',
  'NodeAddr',
  'NodeHost',
  'StateLong',
  'Sockets',
  'Cores',
  'Threads',
  'CPUs',
  'CPUsLoad',
  'CPUsState',
  'FreeMem',
  'AllocMem',
  'Features',
  'PartitionName',
  'Weight',
] as const;

type NodeRow = Row<(typeof nodeFields)[number]>;

/** sinfo's long words; `future`, `perfctrs`, `reboot`, `blocked` … are UNKNOWN, as upstream has them. */
const states: Readonly<Record<string, NodeState>> = {
  idle: 'IDLE',
  planned: 'IDLE',
  allocated: 'ALLOCATED',
  mixed: 'MIXED',
  completing: 'COMPLETING',
  reserved: 'RESERVED',
  maint: 'OFFLINE',
  down: 'DOWN',
  error: 'DOWN',
  fail: 'DOWN',
  failing: 'DOWN',
  inval: 'DOWN',
  drain: 'DRAIN',
  drained: 'DRAIN',
  draining: 'DRAIN',
  power_down: 'POWERING_DOWN',
  powered_down: 'POWERING_DOWN',
  powering_down: 'POWERING_DOWN',
  power_up: 'POWERING_UP',
  powering_up: 'POWERING_UP',
};

/** Marks behind the word that are states of their own. */
const marks: Readonly<Record<string, NodeState>> = { '#': 'POWERING_UP', '%': 'POWERING_DOWN', '!': 'POWERING_DOWN' };

/** `mixed`, `down*`, `idle#` … in the contract's words, the main one first. */
export function nodeStatesOf(text: string): NodeState[] {
  const [, word = '', suffix = ''] = /^([a-z_]+)(.*)$/.exec(text.trim().toLowerCase()) ?? [];
  const state = states[word] ?? 'UNKNOWN';
  return [...new Set([state, ...[...suffix].flatMap((mark) => marks[mark] ?? [])])];
}

/** Every node that is in a partition, hidden ones included. SchedulerFailed. */
export async function listNodes(run: Run, host: SchedulerHost, signal: AbortSignal): Promise<Node[]> {
  const delimiter = newDelimiter();
  const format = nodeFields.map((field) => `${field}:${delimiter}`).join(',');
  const result = await run(host, ['sinfo', '--all', '--Node', '--noheader', `--Format=${format}`], signal);
  if (result.exitCode !== 0) throw failed('The nodes could not be read.', result);
  return parseNodes(result.stdout.toString(), delimiter);
}

/** Slurm 22.05.8: `n1¦127.0.0.1¦localhost¦mixed¦8¦1¦1¦8¦1.98¦4/4/0/8¦22127¦0¦cpu¦debug¦1¦`. */
export function parseNodes(output: string, delimiter: string): Node[] {
  const nodes = new Map<string, Node & { partitions: string[] }>();
  for (const row of parseRows(output, nodeFields, delimiter)) {
    const known = nodes.get(row.NodeList);
    const partition = textOrNull(row.PartitionName);
    if (known && partition !== null) known.partitions.push(partition);
    if (!known) nodes.set(row.NodeList, toNode(row, partition));
  }
  // sinfo gathers its partitions in threads, so their order differs from call to call.
  for (const { partitions } of nodes.values()) partitions.sort();
  return [...nodes.values()];
}

function toNode(row: NodeRow, partition: string | null): Node & { partitions: string[] } {
  // allocated/idle/other/total
  const [allocated = '', idle = ''] = row.CPUsState.split('/');
  return {
    name: row.NodeList,
    address: textOrNull(row.NodeAddr),
    hostname: textOrNull(row.NodeHost),
    state: nodeStatesOf(row.StateLong),
    sockets: wholeNumber(row.Sockets),
    cores: wholeNumber(row.Cores),
    threads: wholeNumber(row.Threads),
    cpus: wholeNumber(row.CPUs) ?? 0,
    cpuLoad: /^\d+(\.\d+)?$/.test(row.CPUsLoad) ? Number(row.CPUsLoad) : null,
    freeMemory: wholeNumber(row.FreeMem),
    allocMemory: wholeNumber(row.AllocMem),
    allocCpus: wholeNumber(allocated),
    idleCpus: wholeNumber(idle),
    features: textOrNull(row.Features),
    partitions: partition === null ? [] : [partition],
    weight: wholeNumber(row.Weight),
  };
}
