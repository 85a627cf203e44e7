import { describe, expect, it } from 'vitest';
import { isLegal, isTerminal, legalTransitions, taskStates, terminalStates } from '../../shared/tasks/states.ts';

describe('the states of a task', () => {
  it('has completed, failed and canceled as sinks, and no other', () => {
    expect(terminalStates).toEqual(['completed', 'failed', 'canceled']);
    for (const state of terminalStates) expect(legalTransitions[state]).toEqual([]);
  });

  it('lets nothing complete or fail that a worker did not take, but for a failure before the start', () => {
    expect(isLegal('pending', 'completed')).toBe(false);
    expect(isLegal('pending', 'failed')).toBe(true);
  });

  it('reaches a sink from every state', () => {
    for (const state of taskStates) {
      const isWayOut = isTerminal(state) || terminalStates.some((end) => isLegal(state, end));
      expect(isWayOut, state).toBe(true);
    }
  });
});
