/** The nodes, by `pbsnodes -a -F json` (pbsnodes(8B)). */
import type { Node, NodeState } from '../../../shared/operations/status/nodes.ts';
import { objectOf, type PbsObject, textOf } from './pbs-json.ts';
import { mebibytes, wholeNumber } from './pbs-values.ts';

export function buildPbsnodes(): string[] {
  return ['pbsnodes', '-a', '-F', 'json'];
}

/** Words of `state`, of which a node may have several: `offline,job-busy`. */
const states: Readonly<Record<string, NodeState>> = {
  free: 'IDLE',
  'job-busy': 'ALLOCATED',
  'job-exclusive': 'ALLOCATED',
  'resv-exclusive': 'RESERVED',
  busy: 'BUSY',
  down: 'DOWN',
  Stale: 'DOWN',
  stale: 'DOWN',
  offline: 'OFFLINE',
  maintenance: 'DRAIN',
  provisioning: 'POWERING_UP',
  'wait-provisioning': 'POWERING_UP',
  initializing: 'POWERING_UP',
  sleep: 'POWERING_DOWN',
};

/** OpenPBS 22.05: `"nodes":{"n1":{"state":"free","pcpus":36,"resources_available":{"mem":"196gb","ncpus":36}, …`. */
export function readNodes(document: PbsObject): Node[] {
  return [...objectOf(document, 'nodes')].flatMap(([name, attributes]) =>
    attributes instanceof Map && !attributes.has('Error') ? [nodeOf(name, attributes)] : [],
  );
}

function nodeOf(name: string, attributes: PbsObject): Node {
  const available = objectOf(attributes, 'resources_available');
  const assigned = objectOf(attributes, 'resources_assigned');
  const cpus = wholeNumber(textOf(available, 'ncpus')) ?? wholeNumber(textOf(attributes, 'pcpus')) ?? 0;
  const allocCpus = wholeNumber(textOf(assigned, 'ncpus')) ?? 0;
  const queue = textOf(attributes, 'queue');
  return {
    name,
    address: textOf(attributes, 'Mom'),
    hostname: textOf(available, 'host'),
    state: statesOf(textOf(attributes, 'state') ?? '', allocCpus),
    sockets: null,
    cores: null,
    threads: null,
    cpus,
    cpuLoad: null,
    // What the jobs asked for is known, what is really free is not.
    freeMemory: null,
    allocMemory: mebibytes(textOf(assigned, 'mem')),
    allocCpus,
    idleCpus: Math.max(0, cpus - allocCpus),
    features: null,
    partitions: queue === null ? null : [queue],
    weight: null,
  };
}

/** A node with room left is `free` to PBS whether jobs run on it or not. */
function statesOf(text: string, allocCpus: number): NodeState[] {
  const words = text.split(',').map((word) => states[word.trim()] ?? 'UNKNOWN');
  return [...new Set(words.map((word) => (word === 'IDLE' && allocCpus > 0 ? 'MIXED' : word)))];
}
