/**
 * `scontrol show -o`: partitions and reservations, a line of `Key=value` each. Values are not quoted; the fields that
 * are read here stand in a fixed order before all free text but a reservation's name, which may hold spaces.
 */
import type { Partition } from '../../../shared/operations/status/partitions.ts';
import type { Reservation } from '../../../shared/operations/status/reservations.ts';
import type { PartitionsRequest, SchedulerHost } from '../scheduler.ts';
import { failed, type Run, unreadable } from './slurm-command.ts';
import { textOrNull, wholeNumber } from './values.ts';

/** SchedulerFailed. */
export async function listPartitions(
  run: Run,
  host: SchedulerHost,
  { showsHidden, signal }: PartitionsRequest,
): Promise<Partition[]> {
  const result = await run(host, ['scontrol', '--all', '--oneliner', 'show', 'partitions'], signal);
  if (result.exitCode !== 0) throw failed('The partitions could not be read.', result);
  return parsePartitions(result.stdout.toString(), showsHidden);
}

/** SchedulerFailed. */
export async function listReservations(run: Run, host: SchedulerHost, signal: AbortSignal): Promise<Reservation[]> {
  const result = await run(host, ['scontrol', '--all', '--oneliner', 'show', 'reservations'], signal);
  if (result.exitCode !== 0) throw failed('The reservations could not be read.', result);
  return parseReservations(result.stdout.toString(), Date.now() / 1_000);
}

/** Slurm 22.05.8: `PartitionName=debug AllowGroups=ALL … Hidden=NO … State=UP TotalCPUs=16 TotalNodes=2 …`. */
export function parsePartitions(output: string, showsHidden: boolean): Partition[] {
  return records(output, 'PartitionName=').flatMap((line) => {
    const name = value(line, 'PartitionName');
    const state = value(line, 'State');
    if (name === undefined || state === undefined) throw unreadable(output);
    if (!showsHidden && value(line, 'Hidden') === 'YES') return [];
    return [
      {
        name,
        cpus: wholeNumber(value(line, 'TotalCPUs') ?? ''),
        totalNodes: wholeNumber(value(line, 'TotalNodes') ?? ''),
        partition: state,
      },
    ];
  });
}

const reservationLine =
  /^ReservationName=(.*?) StartTime=(\d+) EndTime=(\d+) Duration=\S* Nodes=(\S*) .*?Features=(.*?) PartitionName=(?:.*? State=(\S+))?/;

/**
 * Slurm 22.05.8 with `SLURM_TIME_FORMAT=%s`:
 * `ReservationName=maint 1 StartTime=1795372573 EndTime=1795376173 Duration=01:00:00 Nodes=n3 NodeCnt=1 CoreCnt=8
 * Features=cpu PartitionName=(null) Flags=SPEC_NODES … State=ACTIVE …`. Where no state is printed, `now` (epoch seconds)
 * tells it.
 */
export function parseReservations(output: string, now: number): Reservation[] {
  return records(output, 'ReservationName=').map((line) => {
    const match = reservationLine.exec(line);
    if (!match) throw unreadable(output);
    const [, name = '', start = '', end = '', nodeList = '', features = '', state] = match;
    const [startTime, endTime] = [Number(start), Number(end)];
    const isActive = startTime <= now && now < endTime;
    return {
      name,
      nodeList: textOrNull(nodeList) ?? '',
      startTime,
      endTime,
      features: textOrNull(features),
      state: state?.toLowerCase() ?? (isActive ? 'active' : 'inactive'),
    };
  });
}

/** One line a record; `No reservations in the system` is none. */
function records(output: string, start: string): string[] {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  if (lines.every((line) => line.startsWith(start))) return lines;
  if (lines.length === 1 && /^No \w+ in the system/.test(lines[0] ?? '')) return [];
  throw unreadable(output);
}

function value(line: string, key: string): string | undefined {
  return new RegExp(`(?:^| )${key}=(\\S*)`).exec(line)?.[1];
}
