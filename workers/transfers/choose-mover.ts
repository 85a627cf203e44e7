/** The mover of a system. */
import type { OperationContext } from '../operations/operation-context.ts';
import type { Mover } from './mover.ts';
import { scriptMover } from './script-mover.ts';
import { streamMover } from './stream-mover.ts';

/** `command` and `job` run the same program in different places. */
export function moverOf({ system }: Pick<OperationContext, 'system'>): Mover {
  const movers = { command: scriptMover, job: scriptMover, stream: streamMover } satisfies Record<
    typeof system.transfers.mover,
    Mover
  >;
  return movers[system.transfers.mover];
}
