/** Finds the time zone of a system as its C library does: /etc/localtime, a link into the zone database, see tzset(3). */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { RemoteFiles } from '../../ssh/remote-files.ts';
import type { RemoteShell } from '../../ssh/remote-shell.ts';
import { type LocalTime, localTimeAtOffset, localTimeIn } from './local-time.ts';

/** The local time of a host. Without /etc/localtime a host runs on UTC; where it is no link, the host's `date` says its offset. */
export async function findLocalTime(host: { files: RemoteFiles; shell: RemoteShell }): Promise<LocalTime> {
  let target: string;
  try {
    target = (await host.files.readlink('/etc/localtime')).toString();
  } catch (error) {
    if (error instanceof BrokerError && error.code === 'FileNotFound') return localTimeAtOffset(0);
    return offsetOfHost(host.shell);
  }
  const zone = /zoneinfo\/(?:posix\/|right\/)?(.+)$/.exec(target)?.[1];
  if (zone === undefined) return offsetOfHost(host.shell);
  try {
    return localTimeIn(zone);
  } catch {
    return offsetOfHost(host.shell); // a zone that this runtime's database does not have
  }
}

/** `date +%z` prints e.g. `+0230`. */
async function offsetOfHost(shell: RemoteShell): Promise<LocalTime> {
  const { stdout } = await shell.run(['date', '+%z']);
  const [, sign, hours, minutes] = /^([+-])(\d\d)(\d\d)\s*$/.exec(stdout.toString()) ?? [];
  if (sign === undefined)
    throw new BrokerError('RemoteCommandFailed', 'The time zone of the system could not be read.');
  return localTimeAtOffset((sign === '-' ? -1 : 1) * (Number(hours) * 3_600 + Number(minutes) * 60));
}
