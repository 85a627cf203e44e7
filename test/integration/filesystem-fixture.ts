/** What handlers of file operations are given, over the lab's login node as one of its users. */
import { randomUUID } from 'node:crypto';
import type { Lab } from '../../lab/lab.ts';
import type { SshdFacts } from '../../lab/parts/sshd.ts';
import type { SystemConfig } from '../../shared/platform/config/config.ts';
import { findLocalTime } from '../../workers/operations/filesystem/system-local-time.ts';
import type { OperationContext } from '../../workers/operations/operation-context.ts';
import { createPathGate, type PathGate } from '../../workers/operations/path-gate.ts';
import { createRealRoots } from '../../workers/operations/real-roots.ts';
import type { SshSystemOptions } from '../../workers/ssh/options.ts';
import type { Ssh } from '../../workers/ssh/ssh.ts';
import { labUserCa, silent, sshTo, systemOptions } from './ssh-fixture.ts';

export type FileContext = Pick<
  OperationContext,
  'files' | 'stats' | 'shell' | 'listing' | 'pathGate' | 'signal' | 'system' | 'task' | 'log' | 'username'
>;

export interface FileHost {
  ssh: Ssh;
  /** One attempt of a task of its own, the first where nothing else is said. */
  context(over?: {
    username?: string;
    attempt?: number;
    signal?: AbortSignal;
    isCancelRequested?: boolean;
    id?: string;
    /** 5 MiB where nothing else is said. */
    maxOpsFileSizeBytes?: number;
    /** What an archive may unpack to; 1 GiB and 10,000 entries where nothing else is said. */
    unpack?: { unpackBytesMax?: number; unpackEntriesMax?: number };
  }): FileContext;
  close(): Promise<void>;
}

/** The gate of the lab's login node for one user. */
export function gateOf(ssh: Ssh, username: string, roots: readonly string[]): PathGate {
  const files = ssh.files('lab', username);
  const realRoots = createRealRoots()(username, files);
  return createPathGate({ systemName: 'lab', roots, realRoots, files, stats: ssh.stats('lab', username) });
}

/** `roots` are the file systems of the system. */
export function openFileHost(
  lab: { readonly sshd: SshdFacts } | Pick<Lab, 'sshd'>,
  roots: readonly string[],
  options: Partial<SshSystemOptions> = {},
): FileHost {
  const ssh = sshTo(systemOptions(lab.sshd, options), labUserCa(lab));
  const fileSystems = roots.map((path) => ({ path, dataType: 'users' as const, defaultWorkDir: false }));
  return {
    ssh,
    context(over = {}) {
      const { username = 'gcalice', attempt = 1, signal, isCancelRequested = false, id = randomUUID() } = over;
      const { maxOpsFileSizeBytes = 5 * 2 ** 20 } = over;
      const [shell, files, names] = [ssh.shell('lab', username), ssh.files('lab', username), ssh.names('lab')];
      const now = Date.now();
      return {
        ...{
          username,
          shell,
          files,
          stats: ssh.stats('lab', username),
          log: silent,
          signal: signal ?? new AbortController().signal,
        },
        // The handlers look at nothing else of it.
        system: {
          ...{ name: 'lab', fileSystems, dataOperation: { maxOpsFileSizeBytes } },
          transfers: { unpackBytesMax: 2 ** 30, unpackEntriesMax: 10_000, ...over.unpack },
        } as unknown as SystemConfig,
        pathGate: gateOf(ssh, username, roots),
        task: { id, attempt, createdAt: now, deadlineAt: now + 60_000, isCancelRequested },
        listing: {
          users: (uids) => names.users(shell, uids),
          groups: (gids) => names.groups(shell, gids),
          localTime: () => findLocalTime({ files, shell }),
        },
      };
    },
    close: () => ssh.close(),
  };
}
