import { describe, expect, it } from 'vitest';
import { createPlaces } from '../../workers/runtime/places.ts';

const pending = () => {
  let end = (): void => {};
  const promise = new Promise<void>((resolve) => {
    end = resolve;
  });
  return { promise, end };
};

describe('the places of a queue', () => {
  it('are held until the work ends, and then given to the next', async () => {
    const gate = createPlaces().gate(1);
    const first = pending();
    const order: string[] = [];
    const running = gate('a', async () => {
      await first.promise;
      order.push('a');
    });
    const waiting = gate('b', async () => {
      order.push('b');
    });
    first.end();
    await Promise.all([running, waiting]);
    expect(order).toEqual(['a', 'b']);
  });

  it('are given up by a task that only waits, once, and its result is waited for all the same', async () => {
    const places = createPlaces();
    const gate = places.gate(1);
    const answer = pending();
    const waiting = gate('waits', async () => {
      places.leave('waits');
      places.leave('waits');
      await answer.promise;
      return 'answered';
    });
    let runningAtOnce = 0;
    const others = await Promise.all(
      ['b', 'c', 'd'].map((id) =>
        gate(id, async () => {
          runningAtOnce += 1;
          const seen = runningAtOnce;
          await Promise.resolve();
          runningAtOnce -= 1;
          return seen;
        }),
      ),
    );
    expect(others).toEqual([1, 1, 1]);
    answer.end();
    expect(await waiting).toBe('answered');
  });

  it('are free again after work that failed, which fails for its caller', async () => {
    const gate = createPlaces().gate(1);
    await expect(gate('a', () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await gate('b', async () => 'runs')).toBe('runs');
  });

  it('of tasks that have none are nobody’s to give up', () => {
    expect(() => createPlaces().leave('unknown')).not.toThrow();
  });
});
