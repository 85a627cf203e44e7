/**
 * How sbatch's options are told to slurmrestd, as data. Until v0.0.38 slurmrestd reads most values with sbatch's own
 * parser, so texts are handed on as they are; from v0.0.39 on values have types. The first table was tried option by
 * option on Slurm 22.05.8, the second is written from the published OpenAPI documents. An option that a table lacks cannot
 * be told: some are switched off there (`contiguous`, `overcommit`, `no-kill`), and two bring slurmrestd 22.05.8 down
 * for everybody (`argv`, `batch_features`).
 */
import { integer, memoryMib, minutes, wordsOutsideBrackets } from './option-values.ts';

type Json = string | number | boolean | Json[] | { [key: string]: Json };
export type JobFields = Record<string, Json>;

/** Fields for one option; undefined for a value that cannot be told. */
type Tell = (value: string) => JobFields | undefined;
export type FieldTable = Readonly<Record<string, Tell>>;

/** The field with a value made of the option's. */
function as(field: string, make: (value: string) => Json | undefined): Tell {
  return (value) => {
    const made = make(value);
    return made === undefined ? undefined : { [field]: made };
  };
}

function text(field: string): Tell {
  return (value) => ({ [field]: value });
}

function always(fields: JobFields): Tell {
  return () => fields;
}

function count(field: string): Tell {
  return as(field, integer);
}

/** A number of the form that has a place for "not set". */
function wrapped(field: string, make: (value: string) => number | undefined): Tell {
  return as(field, (value) => {
    const number = make(value);
    return number === undefined ? undefined : { set: true, infinite: false, number };
  });
}

function yesNo(yes: JobFields, no: JobFields): Tell {
  return (value) => ({ yes, no })[value.toLowerCase()];
}

/** Options that mean the same text to every version. */
const common: FieldTable = {
  account: text('account'),
  'acctg-freq': text('account_gather_frequency'),
  array: text('array'),
  chdir: text('current_working_directory'),
  'cluster-constraint': text('cluster_constraint'),
  comment: text('comment'),
  constraint: text('constraints'),
  container: text('container'),
  'cpu-freq': text('cpu_frequency'),
  dependency: text('dependency'),
  error: text('standard_error'),
  hold: always({ hold: true }),
  input: text('standard_input'),
  'job-name': text('name'),
  licenses: text('licenses'),
  'mail-user': text('mail_user'),
  'mcs-label': text('mcs_label'),
  output: text('standard_output'),
  partition: text('partition'),
  prefer: text('prefer'),
  qos: text('qos'),
  requeue: always({ requeue: true }),
  reservation: text('reservation'),
  wckey: text('wckey'),
};

/** v0.0.37 and v0.0.38. */
export const textFields: FieldTable = {
  ...common,
  begin: text('begin_time'),
  'core-spec': text('core_specification'),
  'cores-per-socket': text('cores_per_socket'),
  'cpus-per-gpu': text('cpus_per_gpu'),
  'cpus-per-task': text('cpus_per_task'),
  deadline: text('deadline'),
  'delay-boot': text('delay_boot'),
  exclude: text('exclude_nodes'),
  exclusive: as('exclusive', (value) => (value === '' ? 'exclusive' : value)),
  'gpu-bind': text('gpu_binding'),
  'gpu-freq': text('gpu_frequency'),
  gpus: text('gpus'),
  'gpus-per-node': text('gpus_per_node'),
  'gpus-per-socket': text('gpus_per_socket'),
  'gpus-per-task': text('gpus_per_task'),
  gres: text('gres'),
  'gres-flags': text('gres_flags'),
  hint: text('cpu_binding_hint'),
  'kill-on-invalid-dep': yesNo({ kill_on_invalid_dependency: true }, { kill_on_invalid_dependency: false }),
  'mail-type': text('mail_type'),
  mem: text('memory_per_node'),
  'mem-bind': text('memory_binding'),
  'mem-per-cpu': text('memory_per_cpu'),
  'mem-per-gpu': text('memory_per_gpu'),
  mincpus: text('minimum_cpus_per_node'),
  nice: as('nice', (value) => (value === '' ? '100' : value)),
  // A `requeue` that is false changes nothing.
  'no-requeue': always({ no_requeue: true }),
  nodelist: text('node_list'),
  nodes: text('nodes'),
  ntasks: text('tasks'),
  'ntasks-per-core': text('tasks_per_core'),
  'ntasks-per-gpu': text('ntasks_per_gpu'),
  'ntasks-per-node': text('tasks_per_node'),
  'ntasks-per-socket': text('tasks_per_socket'),
  'open-mode': text('open_mode'),
  oversubscribe: always({ oversubscribe: true }),
  priority: text('priority'),
  profile: text('profile'),
  // With a flag before the signal (`B:USR1`) it is refused.
  signal: as('signal', (value) => (value.includes(':') ? undefined : value)),
  'sockets-per-node': text('sockets_per_node'),
  'spread-job': always({ spread_job: true }),
  'thread-spec': text('thread_specification'),
  'threads-per-core': text('threads_per_core'),
  time: text('time_limit'),
  'time-min': text('time_minimum'),
  tmp: text('temporary_disk_per_node'),
  'use-min-nodes': always({ minimum_nodes: true }),
  'wait-all-nodes': text('wait_all_nodes'),
};

/** sbatch's words for mail events as flags. */
const mailFlags: Readonly<Record<string, readonly string[]>> = {
  NONE: [],
  ALL: ['BEGIN', 'END', 'FAIL', 'REQUEUE', 'INVALID_DEPENDENCY', 'STAGE_OUT'],
  TIME_LIMIT: ['TIME=100%'],
  TIME_LIMIT_90: ['TIME=90%'],
  TIME_LIMIT_80: ['TIME=80%'],
  TIME_LIMIT_50: ['TIME=50%'],
};

function mailTypes(value: string): string[] {
  return value
    .toUpperCase()
    .split(',')
    .flatMap((word) => mailFlags[word.trim()] ?? [word.trim()]);
}

/** `[B:]USR1[@60]`. */
function warning(value: string): JobFields | undefined {
  const [, flag, name, seconds] = /^(?:([BR]):)?(\w+)(?:@(\d+))?$/.exec(value) ?? [];
  if (name === undefined) return undefined;
  return {
    kill_warning_signal: name,
    ...(seconds === undefined ? {} : { kill_warning_delay: { set: true, infinite: false, number: Number(seconds) } }),
    ...(flag === 'B' ? { kill_warning_flags: ['BATCH_JOB'] } : {}),
  };
}

/** `gpu:2,licence:1` as `gres/gpu:2,gres/licence:1`. */
function generic(prefix: string): (value: string) => string {
  return (value) =>
    wordsOutsideBrackets(value)
      .map((word) => `${prefix}${word}`)
      .join(',');
}

/** `uts1795390221`; other times depend on the zone of the cluster. */
function epoch(value: string): number | undefined {
  const seconds = /^uts(\d{1,15})$/.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

/** From v0.0.39 on. */
export const typedFields: FieldTable = {
  ...common,
  begin: wrapped('begin_time', epoch),
  contiguous: always({ contiguous: true }),
  'core-spec': count('core_specification'),
  'cpus-per-task': count('cpus_per_task'),
  exclude: as('excluded_nodes', wordsOutsideBrackets),
  exclusive: as('exclusive', (value) => [value === '' || value === 'exclusive' ? 'true' : value]),
  gpus: as('tres_per_job', generic('gres/gpu:')),
  'gpus-per-node': as('tres_per_node', generic('gres/gpu:')),
  'gpus-per-socket': as('tres_per_socket', generic('gres/gpu:')),
  'gpus-per-task': as('tres_per_task', generic('gres/gpu:')),
  gres: as('tres_per_node', generic('gres/')),
  'kill-on-invalid-dep': yesNo({ flags: ['KILL_INVALID_DEPENDENCY'] }, { flags: ['NO_KILL_INVALID_DEPENDENCY'] }),
  'mail-type': as('mail_type', mailTypes),
  mem: wrapped('memory_per_node', memoryMib),
  'mem-per-cpu': wrapped('memory_per_cpu', memoryMib),
  mincpus: count('minimum_cpus_per_node'),
  nice: as('nice', (value) => (value === '' ? 100 : integer(value))),
  'no-kill': always({ kill_on_node_fail: false }),
  'no-requeue': always({ requeue: false }),
  nodelist: as('required_nodes', wordsOutsideBrackets),
  nodes: text('nodes'),
  ntasks: count('tasks'),
  'ntasks-per-core': count('tasks_per_core'),
  'ntasks-per-node': count('tasks_per_node'),
  'ntasks-per-socket': count('tasks_per_socket'),
  'open-mode': as('open_mode', (value) => [value.toUpperCase()]),
  overcommit: always({ overcommit: true }),
  oversubscribe: always({ oversubscribe: true }),
  priority: wrapped('priority', integer),
  reboot: always({ reboot: true }),
  signal: warning,
  'sockets-per-node': count('sockets_per_node'),
  'spread-job': always({ flags: ['SPREAD_JOB'] }),
  'thread-spec': count('thread_specification'),
  'threads-per-core': count('threads_per_core'),
  time: wrapped('time_limit', minutes),
  'time-min': wrapped('time_minimum', minutes),
  tmp: as('temporary_disk_per_node', memoryMib),
  'use-min-nodes': always({ flags: ['USE_MIN_NODES'] }),
  'wait-all-nodes': as('wait_all_nodes', (value) => ({ '0': false, '1': true })[value]),
};
