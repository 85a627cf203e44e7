/** How many tasks are accepted in a second, one by one and by batch, while a worker does them; and that none is lost. */
import { measure } from '../measure.ts';
import type { Verdict } from '../page.ts';
import { type Census, censusWords, untilEnded } from './ends.ts';
import { callerOf, callersMax, type Findings, type Ground } from './ground.ts';

const singlyMin = 800;
const byBatchMin = 2_000;
const perBatch = 1_000;
const batchCallers = 2;

function verdictOfLoss(how: string, accepted: number, census: Census): Verdict {
  const isMet = census.get('completed') === accepted;
  return { text: `${how}: of ${accepted.toLocaleString('en')} accepted tasks ${censusWords(census)} (all)`, isMet };
}

export async function measureAccepting(ground: Ground): Promise<Findings> {
  const { alice, statOf } = ground;
  const task = statOf(alice);
  const single = alice.request('POST', '/tasks', task);
  const singles: string[] = [];
  const singly = await measure({ callers: callersMax, countMax: 20_000, durationMsMax: 5_000 }, async (caller) => {
    const answer = await callerOf(ground, caller).read(single, 202);
    singles.push((JSON.parse(answer) as { id: string }).id);
  });
  const singleCensus = await untilEnded(ground, singles);

  const batch = alice.request('POST', '/tasks/batch', { tasks: Array.from({ length: perBatch }, () => task) });
  const batched: string[] = [];
  const byBatch = await measure({ callers: batchCallers, countMax: 24, durationMsMax: 8_000 }, async (caller) => {
    const { items } = JSON.parse(await callerOf(ground, caller).read(batch, 200)) as { items: { id: string | null }[] };
    batched.push(...items.flatMap(({ id }) => (id === null ? [] : [id])));
  });
  const batchCensus = await untilEnded(ground, batched);
  const batchRate = (byBatch.ratePerSecond * batched.length) / Math.max(1, byBatch.count);
  return {
    rows: [
      { what: 'POST /tasks, with a worker', callers: callersMax, measurement: singly },
      { what: `POST /tasks/batch of ${perBatch}, with a worker`, callers: batchCallers, measurement: byBatch },
    ],
    verdicts: [
      {
        text: `singly: ${singly.ratePerSecond.toFixed(0)} accepted tasks per second (at least ${singlyMin}), ${singly.errors} errors (0)`,
        isMet: singly.ratePerSecond >= singlyMin && singly.errors === 0,
      },
      verdictOfLoss('singly', singles.length, singleCensus),
      {
        text: `by batch: ${batchRate.toFixed(0)} accepted tasks per second (at least ${byBatchMin}), ${byBatch.errors} errors (0)`,
        isMet: batchRate >= byBatchMin && byBatch.errors === 0,
      },
      verdictOfLoss('by batch', batched.length, batchCensus),
    ],
  };
}
