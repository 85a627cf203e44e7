/** The one way of moving bytes that a system has (FirecREST v2's `service_type`), and the refusal of any other. */
import { BrokerError, type FieldProblem } from '../../errors/broker-error.ts';
import type { SystemConfig } from '../../platform/config/config.ts';

type TransferringSystem = Pick<SystemConfig, 'name' | 'dataOperation'>;

/** Of the request, what asked for the way: the client named it, or the operation works with no other than S3 staging. */
const fields = {
  method: { location: 'body', name: 'transferDirectives', pointer: '/transferDirectives/transferMethod' },
  system: { location: 'path', name: 'system_name', pointer: '/system_name' },
} satisfies Record<string, Omit<FieldProblem, 'message'>>;

/** TransferMethodUnavailable with FirecREST's own sentence; the field beside it says which way the system has. */
export function methodUnavailable(
  { name, dataOperation: { dataTransfer } }: TransferringSystem,
  askedBy: keyof typeof fields = 'method',
): BrokerError {
  const has = dataTransfer === null ? 'no transfer method' : `the transfer method ${dataTransfer.type} only`;
  const needs = askedBy === 'system' ? ', and this operation needs s3' : '';
  return new BrokerError('TransferMethodUnavailable', 'Requested transfer method is not available.', {
    fields: [{ ...fields[askedBy], message: `system ${name} has ${has}${needs}` }],
  });
}
