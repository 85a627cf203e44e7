/** Reservations, by `pbs_rstat -f` (pbs_rstat(1B)), which knows no other form than this. */
import type { Reservation } from '../../../shared/operations/status/reservations.ts';
import { epochSeconds } from './pbs-values.ts';

export function buildRstat(): string[] {
  return ['pbs_rstat', '-f'];
}

/**
 * The reservations, each a block of lines:
 *   Resv ID: R5.pbs
 *   Reserve_Name = maintenance
 *   reserve_state = RESV_CONFIRMED
 *   reserve_start = Wed Aug 24 10:00:00 2022
 *   reserve_end = Wed Aug 24 11:00:00 2022
 *   queue = R5
 *   resv_nodes = (n1:ncpus=1)+(n2:ncpus=1)
 * The queue is what a job names to run in it, so it is the name here. One without times is left out.
 */
export function readReservations(output: string): Reservation[] {
  return output.split(/^Resv ID: /m).flatMap((block) => {
    const [id = ''] = block.split('\n');
    const facts = new Map([...block.matchAll(/^(\w+) = (.*)$/gm)].map(([, name = '', value = '']) => [name, value]));
    const startTime = epochSeconds(facts.get('reserve_start') ?? null);
    const endTime = epochSeconds(facts.get('reserve_end') ?? null);
    if (startTime === null || endTime === null) return [];
    return [
      {
        name: facts.get('queue') ?? id,
        nodeList: nodesOf(facts.get('resv_nodes') ?? ''),
        startTime,
        endTime,
        features: null,
        state: ['RESV_RUNNING', 'RESV_DELETING_JOBS'].includes(facts.get('reserve_state') ?? '')
          ? 'active'
          : 'inactive',
      },
    ];
  });
}

/** The nodes in `(n1:ncpus=1:mem=2gb)+(n2:ncpus=1)`. */
function nodesOf(text: string): string {
  const names = [...text.matchAll(/(?:^|\()([^:()+]+)/g)].map(([, name = '']) => name);
  return [...new Set(names)].join(',');
}
