/** What a scheduler cannot do is refused, never left out: a job would run with other resources than were asked for. */
import { BrokerError } from '../../shared/errors/broker-error.ts';

/** Throws NotSupported for the first of `fields` that is set in `wanted`. `reason` follows the field's name. */
export function refuseFields<Wanted extends object>(
  wanted: Wanted,
  fields: readonly (keyof Wanted & string)[],
  reason = 'is not supported by the scheduler of this system; leave it out',
): void {
  const field = fields.find((name) => wanted[name] !== null && wanted[name] !== undefined);
  if (field !== undefined) throw new BrokerError('NotSupported', `The field ${field} ${reason}.`);
}
