/** Whether a paused Slurm controller has been sent something: seen in the kernel's table of connections, which both ends are in. */
import { readFileSync } from 'node:fs';

/** Columns of /proc/net/tcp; addresses and counts are hexadecimal. */
interface Connection {
  localPort: number;
  remotePort: number;
  isEstablished: boolean;
  unreadBytes: number;
  uid: number;
}

function connections(): Connection[] {
  const [, ...rows] = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n');
  return rows.map((row) => {
    const [, local = '', remote = '', state = '', queues = '', , , uid = ''] = row.trim().split(/\s+/);
    const hex = (text: string | undefined): number => Number.parseInt(text ?? '', 16);
    return {
      localPort: hex(local.split(':')[1]),
      remotePort: hex(remote.split(':')[1]),
      isEstablished: state === '01',
      unreadBytes: hex(queues.split(':')[1]),
      uid: Number(uid),
    };
  });
}

/** Whether a connection of user `uid` to the controller of that slurm.conf holds bytes that the controller has not read. */
export function hasUnreadRequest(confPath: string, uid: number): boolean {
  const port = Number(/^SlurmctldPort=(\d+)$/m.exec(readFileSync(confPath, 'utf8'))?.[1]);
  const all = connections().filter(({ isEstablished }) => isEstablished);
  const asked = all.filter((each) => each.remotePort === port && each.uid === uid).map(({ localPort }) => localPort);
  return all.some((each) => each.localPort === port && asked.includes(each.remotePort) && each.unreadBytes > 0);
}
