/**
 * PSI/J's names for what a job asks for (ResourceSpecV1 and JobAttributes, which the IRI Facility API uses too), taken as
 * other names of ours where the meaning is the same, and refused where it is not.
 */

import { z } from 'zod';
import { isJsonObject } from '../../json-object.ts';
import type { JobResource } from './job-resources.ts';

const count = z.int('must be a whole number').min(1, 'must be at least 1').nullish();
const text = z.string('must be a text').nullish();

/** Names we do not know are an error: what they ask for would be left out in silence. */
function known<Shape extends z.core.$ZodShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? `holds what is not supported: ${issue.keys.join(', ')}` : undefined,
  });
}

export const psijFields = {
  resources: known({
    node_count: count,
    process_count: count,
    processes_per_node: count,
    cpu_cores_per_process: count,
    gpu_cores_per_process: count,
    exclusive_node_use: z.boolean('must be true or false').nullish(),
    memory: count.describe('Bytes over all nodes; with node_count 1 only'),
  })
    .nullish()
    .describe("PSI/J's names of nodes, tasks, tasksPerNode, cpusPerTask, gpusPerTask, exclusive, memoryPerNodeBytes"),
  attributes: known({
    duration: count.describe('Seconds'),
    queue_name: text,
    account: text,
    reservation_id: text,
    custom_attributes: known({ 'slurm.constraint': text, 'slurm.qos': text }).nullish(),
  })
    .nullish()
    .describe("PSI/J's names of timeLimitSeconds, partition, account, reservation, constraints, qos"),
};

const psijNames = z.object(psijFields);

type Ours = JobResource | 'partition' | 'account' | 'reservation' | 'constraints';

/** Ours ← where PSI/J has it. */
const places: readonly (readonly [Ours, readonly string[]])[] = [
  ['nodes', ['resources', 'node_count']],
  ['tasks', ['resources', 'process_count']],
  ['tasksPerNode', ['resources', 'processes_per_node']],
  ['cpusPerTask', ['resources', 'cpu_cores_per_process']],
  ['gpusPerTask', ['resources', 'gpu_cores_per_process']],
  ['exclusive', ['resources', 'exclusive_node_use']],
  ['memoryPerNodeBytes', ['resources', 'memory']],
  ['timeLimitSeconds', ['attributes', 'duration']],
  ['partition', ['attributes', 'queue_name']],
  ['account', ['attributes', 'account']],
  ['reservation', ['attributes', 'reservation_id']],
  ['constraints', ['attributes', 'custom_attributes', 'slurm.constraint']],
  ['qos', ['attributes', 'custom_attributes', 'slurm.qos']],
];

type Problems = Pick<z.core.$RefinementCtx, 'addIssue'>;

/** A job description with PSI/J's objects replaced by our own fields; anything else as it is. */
export function withoutPsijNames(value: unknown, problems: Problems): unknown {
  if (!isJsonObject(value)) return value;
  const { resources, attributes, ...job } = value;
  const parsed = psijNames.safeParse({ resources, attributes });
  if (!parsed.success) {
    for (const { path, message } of parsed.error.issues) problems.addIssue({ code: 'custom', path, message });
    return job;
  }
  for (const [ours, path] of places) {
    const wanted = valueAt(parsed.data, path);
    if (wanted === undefined || wanted === null) continue;
    const own = job[ours];
    const isUnset = own === undefined || own === null || own === '';
    if (!isUnset && own !== wanted)
      problems.addIssue({ code: 'custom', path: [...path], message: `contradicts ${ours}` });
    job[ours] = wanted;
  }
  if (parsed.data.resources?.memory && parsed.data.resources.node_count !== 1) {
    const message = 'is for the whole job, so it needs node_count 1; for more nodes send memoryPerNodeBytes';
    problems.addIssue({ code: 'custom', path: ['resources', 'memory'], message });
  }
  return job;
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => (isJsonObject(at) ? at[key] : undefined), value);
}
