/** What slurmrestd tells of the cluster itself: nodes, partitions, reservations and accounts. */
import { z } from 'zod';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Node, NodeState } from '../../../shared/operations/status/nodes.ts';
import type { Partition } from '../../../shared/operations/status/partitions.ts';
import type { Reservation } from '../../../shared/operations/status/reservations.ts';
import type { Account } from '../../../shared/operations/status/userinfo.ts';
import { isWithoutAccounting } from '../slurm-cli/sacct.ts';
import { nodeStatesOf } from '../slurm-cli/sinfo.ts';
import { readAs, requireAnswer, wordsOf } from './answers.ts';
import type { RestAnswer } from './rest-client.ts';
import type { Session } from './rest-jobs.ts';
import { slurmNumber, slurmText, slurmTime, slurmWords } from './slurm-values.ts';

const words = z.union([z.string().transform((word) => [word]), z.array(z.string())]);

const node = z.looseObject({
  name: z.string(),
  address: slurmText,
  hostname: slurmText,
  /** The base state; since v0.0.39 with the flags in one list. */
  state: words,
  state_flags: z.array(z.string()).default([]),
  sockets: slurmNumber,
  cores: slurmNumber,
  threads: slurmNumber,
  cpus: z.number(),
  /** Hundredths. */
  cpu_load: slurmNumber,
  free_memory: slurmNumber,
  free_mem: slurmNumber,
  alloc_memory: slurmNumber,
  alloc_cpus: slurmNumber,
  idle_cpus: slurmNumber,
  alloc_idle_cpus: slurmNumber,
  features: slurmWords,
  partitions: slurmWords,
  weight: slurmNumber,
});

/** Flags that say more than the base state, in the order in which sinfo would show them. */
const flagStates: readonly (readonly [string, NodeState])[] = [
  ['MAINTENANCE', 'OFFLINE'],
  ['DRAIN', 'DRAIN'],
  ['FAIL', 'DOWN'],
  ['POWERING_UP', 'POWERING_UP'],
  ['POWER_UP', 'POWERING_UP'],
  ['POWERING_DOWN', 'POWERING_DOWN'],
  ['POWERED_DOWN', 'POWERING_DOWN'],
  ['POWER_DOWN', 'POWERING_DOWN'],
  ['COMPLETING', 'COMPLETING'],
  ['RESERVED', 'RESERVED'],
];

function statesOf(base: string, flags: readonly string[]): NodeState[] {
  const upper = new Set(flags.map((flag) => flag.toUpperCase()));
  const [shown] = flagStates.filter(([flag]) => upper.has(flag));
  return shown ? [shown[1]] : nodeStatesOf(base);
}

/** Every node. SchedulerFailed, as all below. */
export async function listNodes(session: Session): Promise<Node[]> {
  const nodes: Node[] = [];
  const path = `/slurm/v${session.dialect.version}/nodes`;
  await each(session, { path, member: 'nodes', sentence: 'The nodes could not be read.' }, (element) => {
    nodes.push(toNode(readAs(node, element)));
  });
  return nodes;
}

function toNode(shown: z.output<typeof node>): Node {
  const [base = '', ...flags] = shown.state;
  const state = statesOf(base, [...flags, ...shown.state_flags]);
  // As sinfo counts: what is idle on a node that takes no jobs is not idle.
  const isOut = state.includes('DOWN') || state.includes('DRAIN');
  return {
    name: shown.name,
    address: shown.address,
    hostname: shown.hostname,
    state,
    sockets: shown.sockets,
    cores: shown.cores,
    threads: shown.threads,
    cpus: shown.cpus,
    cpuLoad: shown.cpu_load === null ? null : shown.cpu_load / 100,
    freeMemory: shown.free_memory ?? shown.free_mem,
    allocMemory: shown.alloc_memory,
    allocCpus: shown.alloc_cpus,
    idleCpus: isOut ? 0 : (shown.idle_cpus ?? shown.alloc_idle_cpus),
    features: shown.features === null ? null : shown.features.join(',') || null,
    partitions: shown.partitions ?? [],
    weight: shown.weight,
  };
}

const partition = z.looseObject({
  name: z.string(),
  state: z.string().optional(),
  flags: z.array(z.string()).default([]),
  total_cpus: slurmNumber,
  total_nodes: slurmNumber,
  // Since v0.0.39.
  partition: z.looseObject({ state: words }).optional(),
  cpus: z.looseObject({ total: slurmNumber }).optional(),
  nodes: z.union([z.string(), z.looseObject({ total: slurmNumber })]).optional(),
});

export async function listPartitions(session: Session, showsHidden: boolean): Promise<Partition[]> {
  const { version, hiddenPartitions } = session.dialect;
  const partitions: Partition[] = [];
  const query = showsHidden && hiddenPartitions === 'asked' ? '?flags=ALL' : '';
  const path = `/slurm/v${version}/partitions${query}`;
  await each(session, { path, member: 'partitions', sentence: 'The partitions could not be read.' }, (element) => {
    const shown = readAs(partition, element);
    if (!showsHidden && shown.flags.some((flag) => flag.toLowerCase() === 'hidden')) return;
    const [state = 'UNKNOWN'] = shown.partition?.state ?? (shown.state === undefined ? [] : [shown.state]);
    partitions.push({
      name: shown.name,
      cpus: shown.total_cpus ?? shown.cpus?.total ?? null,
      totalNodes: shown.total_nodes ?? (typeof shown.nodes === 'object' ? shown.nodes.total : null),
      partition: state,
    });
  });
  return partitions;
}

const reservation = z.looseObject({
  name: z.string(),
  node_list: slurmText,
  start_time: slurmTime,
  end_time: slurmTime,
  features: slurmText,
});

export async function listReservations(session: Session): Promise<Reservation[]> {
  const reservations: Reservation[] = [];
  const now = Date.now() / 1_000;
  const path = `/slurm/v${session.dialect.version}/reservations`;
  await each(session, { path, member: 'reservations', sentence: 'The reservations could not be read.' }, (element) => {
    const { name, node_list: nodeList, start_time: start, end_time: end, features } = readAs(reservation, element);
    const [startTime, endTime] = [start ?? 0, end ?? 0];
    const state = startTime <= now && now < endTime ? 'active' : 'inactive';
    reservations.push({ name, nodeList: nodeList ?? '', startTime, endTime, features, state });
  });
  return reservations;
}

const association = z.looseObject({
  account: z.string(),
  user: slurmText,
  is_default: z.union([z.boolean(), z.number().transform((flag) => flag !== 0)]).default(false),
});

/** Each account of the user once; null where the site keeps no accounting. */
export async function listAccounts(session: Session): Promise<Account[] | null> {
  const { username, dialect } = session;
  const accounts = new Map<string, Account>();
  const path = `/slurmdb/v${dialect.version}/associations?user=${encodeURIComponent(username)}`;
  const sentence = 'The accounts could not be read.';
  try {
    await each(session, { path, member: 'associations', sentence }, (element) => {
      const { account: name, user, is_default: isDefault } = readAs(association, element);
      if (user !== username) return;
      accounts.set(name, { name, default: isDefault || accounts.get(name)?.default === true });
    });
  } catch (error) {
    if (error instanceof BrokerError && isWithoutAccounting(error.message)) return null;
    throw error;
  }
  return [...accounts.values()];
}

interface Question {
  path: string;
  member: string;
  /** What it means that there is no answer. */
  sentence: string;
}

async function each(session: Session, question: Question, take: (element: unknown) => void): Promise<void> {
  const { rest, username, signal } = session;
  const { path, member, sentence } = question;
  requireAnswer(await rest({ method: 'GET', path, username, signal, each: { member, take } }), sentence);
}

const pings = z.looseObject({
  pings: z.array(z.looseObject({ ping: z.string().optional(), pinged: z.string().optional() })).default([]),
});

/** SchedulerFailed unless a controller is up. */
export async function pingController({ rest, dialect, username, signal }: Session): Promise<void> {
  const answer: RestAnswer = await rest({ method: 'GET', path: `/slurm/v${dialect.version}/ping`, username, signal });
  requireAnswer(answer, 'The scheduler does not answer.');
  const isUp = readAs(pings, answer.body).pings.some(({ ping, pinged }) => (ping ?? pinged) === 'UP');
  if (!isUp) throw new BrokerError('SchedulerFailed', `The scheduler does not answer. ${wordsOf(answer)}`.trim());
}
