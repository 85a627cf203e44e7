/** Whether tasks that were accepted have ended, by their records. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isTerminal, type TaskState } from '../../shared/tasks/states.ts';
import type { Ground } from './ground.ts';

const readAtOnce = 2_000;
const lookMs = 250;
const endedMsMax = 120_000;

/** How many stand in each state; `gone`: there is no record. */
export type Census = Map<TaskState | 'gone', number>;

async function statesOf({ redis, broker }: Pick<Ground, 'redis' | 'broker'>, ids: readonly string[]) {
  const states: (TaskState | 'gone')[] = [];
  for (let at = 0; at < ids.length; at += readAtOnce) {
    const slice = ids.slice(at, at + readAtOnce);
    const read = await Promise.all(slice.map((id) => redis.hget(`${broker.keyPrefix}:task:${id}`, 'state')));
    states.push(...read.map((state) => (state as TaskState | null) ?? 'gone'));
  }
  return states;
}

/** Waits until each has ended, two minutes at most, and counts. */
export async function untilEnded(ground: Pick<Ground, 'redis' | 'broker'>, ids: readonly string[]): Promise<Census> {
  const census: Census = new Map();
  const count = (state: TaskState | 'gone'): void => void census.set(state, (census.get(state) ?? 0) + 1);
  const giveUpAt = performance.now() + endedMsMax;
  for (let open = [...ids]; open.length > 0; ) {
    const states = await statesOf(ground, open);
    const isLast = performance.now() > giveUpAt;
    const left: string[] = [];
    for (const [n, state] of states.entries()) {
      if (isLast || state === 'gone' || isTerminal(state)) count(state);
      else left.push(open[n] ?? '');
    }
    open = left;
    if (open.length > 0) await sleep(lookMs);
  }
  return census;
}

/** In words: `16,000 completed`. */
export function censusWords(census: Census): string {
  return [...census].map(([state, count]) => `${count.toLocaleString('en')} ${state}`).join(', ');
}
