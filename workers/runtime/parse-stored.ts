/** What goes into a handler, held to the operation's schema: API and worker may be of different versions. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { inputOf, takesResults } from '../../shared/tasks/chain.ts';
import type { Task } from '../../shared/tasks/task.ts';

/** What a chain's earlier steps gave is the caller's to mend; else the record is of another version. */
export function parseStored(operation: Operation, task: Task): unknown {
  const parsed = operation.input.safeParse(inputOf(task));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (takesResults(task)) {
    throw new BrokerError(
      'InvalidRequest',
      `The step's input does not fit: \`${issue?.path.join('.')}\` ${issue?.message}.`,
    );
  }
  throw new BrokerError('Internal', 'The stored input does not fit this version of the operation.', {
    cause: parsed.error,
  });
}
