/** The states of a task and the transitions between them. The table here is the only one; the store's script is made from it. */

export const taskStates = ['pending', 'active', 'completed', 'failed', 'canceled'] as const;
export type TaskState = (typeof taskStates)[number];

/** State → states it may go to. A terminal state is a sink. `active → active` is a take-over from a lost worker. */
export const legalTransitions = {
  pending: ['active', 'failed', 'canceled'],
  active: ['active', 'pending', 'completed', 'failed', 'canceled'],
  completed: [],
  failed: [],
  canceled: [],
} as const satisfies Record<TaskState, readonly TaskState[]>;

export const terminalStates = taskStates.filter((state) => legalTransitions[state].length === 0);

export function isTerminal(state: TaskState): boolean {
  return legalTransitions[state].length === 0;
}

export function isLegal(from: TaskState, to: TaskState): boolean {
  return (legalTransitions[from] as readonly TaskState[]).includes(to);
}
