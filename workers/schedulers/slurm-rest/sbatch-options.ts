/** The options that a `#SBATCH` line may hold: sbatch(1) of Slurm 22.05, and those that came since. */

export interface SbatchOption {
  name: string;
  /** Its one-letter form, or null. */
  letter: string | null;
  /** An optional value stands behind `=` or directly behind the letter, never in a word of its own. */
  value: 'required' | 'optional' | 'none';
}

const withValue =
  'account:A array:a batch bb bbf begin:b chdir:D cluster-constraint clusters:M comment constraint:C container ' +
  'container-id context core-spec:S cores-per-socket cpu-freq cpus-per-gpu cpus-per-task:c deadline delay-boot ' +
  'dependency:d distribution:m error:e exclude:x export-file extra extra-node-info:B gid gpu-bind gpu-freq gpus:G ' +
  'gpus-per-node gpus-per-socket gpus-per-task gres gres-flags hint input:i job-name:J licenses:L mail-type ' +
  'mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile:F nodelist:w nodes:N ntasks:n ' +
  'ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output:o partition:p power prefer ' +
  'priority profile qos:q reservation segment signal sockets-per-node switches thread-spec threads-per-core time:t ' +
  'time-min tmp tres-bind tres-per-task uid wait-all-nodes wckey wrap acctg-freq kill-on-invalid-dep';

const withOptionalValue = 'exclusive export get-user-env nice no-kill:k propagate resv-ports';

const withoutValue =
  'contiguous help:h hold:H ignore-pbs no-requeue overcommit:O oversubscribe:s parsable quiet:Q reboot requeue ' +
  'spread-job stepmgr test-only usage use-min-nodes verbose:v version:V wait:W';

/** Other names of the same option. */
const aliases: Readonly<Record<string, string>> = { share: 'oversubscribe', workdir: 'chdir', tasks: 'ntasks' };

function parse(list: string, value: SbatchOption['value']): SbatchOption[] {
  return list.split(' ').map((entry) => {
    const [name = '', letter = null] = entry.split(':');
    return { name, letter, value };
  });
}

const options: readonly SbatchOption[] = [
  ...parse(withValue, 'required'),
  ...parse(withOptionalValue, 'optional'),
  ...parse(withoutValue, 'none'),
];

const byName: ReadonlyMap<string, SbatchOption> = new Map([
  ...options.map((option): [string, SbatchOption] => [option.name, option]),
  ...Object.entries(aliases).flatMap(([alias, name]): [string, SbatchOption][] =>
    options.filter((option) => option.name === name).map((option) => [alias, option]),
  ),
]);

/** The options that a long name may mean: one for a whole name or an unambiguous beginning of one, as getopt_long(3). */
export function optionsNamed(name: string): SbatchOption[] {
  const exact = byName.get(name);
  if (exact) return [exact];
  const meant = [...byName].filter(([known]) => known.startsWith(name)).map(([, option]) => option);
  return [...new Set(meant)];
}

export function optionLettered(letter: string): SbatchOption | undefined {
  return options.find((option) => option.letter === letter);
}
