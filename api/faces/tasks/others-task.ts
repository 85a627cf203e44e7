/**
 * Tasks of others: not found, but for those whom OpenFGA lets see or cancel them, above all who administers the system. They
 * see how a task stands, never what it was given and what came of it, which may be what is in files.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { Principal, Task } from '../../../shared/tasks/task.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';

export type OthersDeps = Pick<AppDeps, 'gate' | 'mayOnOthers'>;

/**
 * What `act` gives of the task as its owner, for the owner, and without its contents for who may besides. TaskNotFound for all others, as for a task
 * that is not there: OpenFGA is asked in either case, so that not even its failure tells which.
 */
export async function actOnTask(
  c: AppContext,
  { gate, mayOnOthers }: OthersDeps,
  { id, relation }: { id: string; relation: 'view' | 'cancel' },
  act: (owner: Principal) => Promise<Task>,
): Promise<Task> {
  const principal = c.get('principal');
  try {
    return await act(principal);
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== 'TaskNotFound') throw error;
  }
  const found = await gate.find(id);
  const thing = { type: 'task' as const, id, system: found?.system ?? null };
  const may = await mayOnOthers(principal, relation, thing, c.get('address'));
  if (!may || found === null) throw new BrokerError('TaskNotFound', 'Task not found.');
  return withoutContents(await act(found.principal));
}

/** The task as somebody else is shown it. */
function withoutContents(task: Task): Task {
  return { ...task, input: null, result: null, chain: task.chain === null ? null : { ...task.chain, steps: [] } };
}
