/** What the scheduler tests share: a lab with a login node, and hosts on it as its users, over the real SSH layer. */
import { randomUUID } from 'node:crypto';
import { type Lab, type PartName, startLab } from '../../lab/lab.ts';
import type { SchedulerHost } from '../../workers/schedulers/scheduler.ts';
import type { Ssh } from '../../workers/ssh/ssh.ts';
import { labUserCa, sshTo, systemOptions } from './ssh-fixture.ts';

export interface SchedulerLab {
  lab: Lab;
  ssh: Ssh;
  host(username: string): SchedulerHost;
  /** Makes a directory of the user's own, removed by `stop`. */
  directory(username: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startSchedulerLab(parts: readonly PartName[]): Promise<SchedulerLab> {
  const lab = await startLab({ parts, handlesSignals: false });
  const ssh = sshTo(systemOptions(lab.sshd, { commandTimeoutMs: 20_000 }), labUserCa(lab));
  const directories: [SchedulerHost, string][] = [];
  const host = (username: string): SchedulerHost => ({
    username,
    shell: ssh.shell('lab', username),
    files: ssh.files('lab', username),
  });
  return {
    lab,
    ssh,
    host,
    async directory(username) {
      const owner = host(username);
      const home = lab.users.find((user) => user.username === username)?.home ?? '/tmp';
      const directory = `${home}/goldcrest-test-${randomUUID()}`;
      await owner.files.mkdir(directory);
      directories.push([owner, directory]);
      return directory;
    },
    async stop() {
      for (const [owner, directory] of directories) await owner.shell.run(['rm', '-rf', '--', directory]);
      await ssh.close();
      await lab.stop();
    },
  };
}
