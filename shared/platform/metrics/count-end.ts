/** Counts the end of a task, in the process that stored it: a worker, or the API where a waiting task is canceled. */
import type { StoredError } from '../../errors/broker-error.ts';
import type { Task } from '../../tasks/task.ts';
import type { Settlement, TaskEnd } from '../task-store.ts';
import { type Meter, operationLabel, systemLabel } from './meter.ts';

/** To be called with what became of each attempt to end a task; a step of a chain that goes on is no end. */
export function countEnd(
  meter: Meter,
  task: Pick<Task, 'operation' | 'system' | 'chain' | 'createdAt'>,
  end: TaskEnd,
  settled: Settlement,
): void {
  if (settled.outcome !== 'settled' || settled.next !== undefined) return;
  const { system, chain, createdAt } = task;
  const operation = operationLabel(task.operation, chain);
  const labels = { operation, system: systemLabel(system), state: end.state, fault: faultOf(end) };
  meter.count('goldcrest_tasks_ended_total', labels);
  meter.observe('goldcrest_task_duration_seconds', { operation }, (Date.now() - createdAt) / 1_000);
}

/** Whose fault a failure is; empty for an end that is none. */
function faultOf(end: TaskEnd): string {
  return end.state === 'failed' ? (JSON.parse(end.errorJson) as StoredError).fault : '';
}
