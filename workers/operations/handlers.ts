/** The one list of handlers. An operation without a handler does not compile. */
import type { InputOf, ResultOf } from '../../shared/operations/operation.ts';
import type { OperationName, operations } from '../../shared/operations/registry.ts';
import { handleCancelJob } from './compute/cancel-job.ts';
import { handleGetJob } from './compute/get-job.ts';
import { handleSubmitJob } from './compute/submit-job.ts';
import { handleLs } from './filesystem/ls.ts';
import { handleStat } from './filesystem/stat.ts';
import type { BrokerContext, OperationContext } from './operation-context.ts';
import { handleSystems } from './status/systems.ts';

type ContextOf<Name extends OperationName> = (typeof operations)[Name]['scope'] extends 'none'
  ? BrokerContext
  : OperationContext;

/** Runs one attempt. Neither loops nor sleeps; throws BrokerError. */
export type Handler<Name extends OperationName> = (
  input: InputOf<(typeof operations)[Name]>,
  context: ContextOf<Name>,
) => Promise<ResultOf<(typeof operations)[Name]>>;

export const handlers = {
  'compute.cancel-job': handleCancelJob,
  'compute.get-job': handleGetJob,
  'compute.submit-job': handleSubmitJob,
  'filesystem.ls': handleLs,
  'filesystem.stat': handleStat,
  'status.systems': handleSystems,
} satisfies { [Name in OperationName]: Handler<Name> };
