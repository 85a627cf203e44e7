/** The command line of the demo. */
import { parseArgs } from 'node:util';
import { LabError } from '../lab-error.ts';

export const help = `Usage: npm run demo -- [options]

Starts Redis, an OpenSSH server, an OIDC issuer, a scheduler and Goldcrest on this machine, on free loopback ports and
in one temporary folder; runs a job through the REST API; then stays up for you to try it. Ctrl-C ends and removes it all.

  --scheduler slurm|process   slurm: a one-node cluster (as root, with Slurm installed); process: no batch system.
                              Without it: slurm where that is possible, else process
  --once                      end after the run; the exit code is 0 when it went well
  --help                      this text

As root the job runs as the user gcalice, otherwise as you. NO_COLOR=1 leaves the colours out.
`;

export const schedulers = ['slurm', 'process'] as const;

export type DemoScheduler = (typeof schedulers)[number];

export interface DemoOptions {
  /** Undefined: the best there is. */
  scheduler: DemoScheduler | undefined;
  isOnce: boolean;
}

/** Undefined when the help is asked for. Throws `NotStarted` for what it does not know. */
export function readOptions(args: string[]): DemoOptions | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const scheduler = schedulers.find((name) => name === values.scheduler);
  if (values.scheduler !== undefined && scheduler === undefined) {
    throw new LabError('NotStarted', `--scheduler takes ${schedulers.join(' or ')}, not '${values.scheduler}'`);
  }
  return { scheduler, isOnce: values.once ?? false };
}

function parse(args: string[]) {
  const options = { scheduler: { type: 'string' }, once: { type: 'boolean' }, help: { type: 'boolean' } } as const;
  try {
    return parseArgs({ args, options }).values;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new LabError('NotStarted', `${reason}\n\n${help}`, { cause });
  }
}
