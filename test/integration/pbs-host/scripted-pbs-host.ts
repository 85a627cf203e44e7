/** OpenPBS's commands as scripts on the lab's login node: a real host, shell and processes, and a server that is none. */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SchedulerHost } from '../../../workers/schedulers/scheduler.ts';

const commands = ['qsub', 'qstat', 'qselect', 'qdel', 'qhold', 'qrls', 'qalter', 'pbsnodes', 'pbs_rstat'];

/** What the server does until it is called off. */
export type PbsFault = 'down' | 'terminating' | 'no-history' | 'lost-answer' | 'refusal';

export interface ScriptedPbsHost {
  /** The same host, with the commands in its PATH. */
  withCommands(host: SchedulerHost): SchedulerHost;
  /** Until the function it gives is called, the server does so; `text` is what it says in a refusal. */
  fault(fault: PbsFault, text?: string): () => void;
  stop(): void;
}

/** `style` is the version whose JSON the commands print. */
export function startScriptedPbsHost(style: 'openpbs-20' | 'openpbs-23'): ScriptedPbsHost {
  const folder = mkdtempSync(join(tmpdir(), 'gc-scripted-pbs-'));
  const [bin, state] = [join(folder, 'bin'), join(folder, 'state')];
  chmodSync(folder, 0o755);
  mkdirSync(bin);
  mkdirSync(state);
  chmodSync(state, 0o1777);
  const program = join(bin, 'pbs-commands.pl');
  cpSync(fileURLToPath(new URL('pbs-commands.pl', import.meta.url)), program);
  chmodSync(program, 0o755);
  for (const command of commands) symlinkSync(program, join(bin, command));
  writeFileSync(join(state, 'style'), style);
  return {
    withCommands: (host) => ({
      ...host,
      shell: {
        run: (argv, options = {}) =>
          host.shell.run(['env', `PATH=${bin}:/usr/local/bin:/usr/bin:/bin`, ...argv], {
            ...options,
            // A zone far from that of the test's own machine, as a login node may have it.
            env: { TZ: 'JST-9', ...options.env },
          }),
      },
    }),
    fault(fault, text = '') {
      const path = join(state, fault);
      writeFileSync(path, text);
      return () => rmSync(path);
    },
    stop: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}
