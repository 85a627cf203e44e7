import { describe, expect, it } from 'vitest';
import { shareInFlight } from '../../workers/job-lookups/share-in-flight.ts';

const calm = new AbortController().signal;

describe('a run that is shared', () => {
  it('is one for all who want the same meanwhile, and a new one afterwards', async () => {
    const inFlight = shareInFlight<number>();
    let runs = 0;
    const work = async () => {
      runs += 1;
      return runs;
    };
    const together = await Promise.all(['a', 'a', 'b', 'a'].map((key) => inFlight.run(key, calm, work)));
    expect(together).toEqual([1, 1, 2, 1]);
    expect(await inFlight.run('a', calm, work)).toBe(3);
  });

  it('goes on while somebody waits for it, and is ended when the last one has gone', async () => {
    const inFlight = shareInFlight<never>();
    let seen: AbortSignal | undefined;
    const work = (signal: AbortSignal) => {
      seen = signal;
      return new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const [first, second] = [new AbortController(), new AbortController()];
    const runs = [first, second].map(({ signal }) => inFlight.run('a', signal, work));
    first.abort(new Error('first gone'));
    await expect(runs[0]).rejects.toThrow('first gone');
    expect(seen?.aborted).toBe(false);
    second.abort(new Error('second gone'));
    await expect(runs[1]).rejects.toThrow('second gone');
    expect(seen?.aborted).toBe(true);
  });

  it('fails for all who joined it, and is not kept', async () => {
    const inFlight = shareInFlight<string>();
    const broken = () => Promise.reject(new Error('broken'));
    const joined = ['a', 'a'].map((key) => inFlight.run(key, calm, broken));
    await expect(Promise.allSettled(joined)).resolves.toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
    expect(await inFlight.run('a', calm, async () => 'fine')).toBe('fine');
  });
});
