/** What a user with 10,000 waiting tasks does to another one's single task, and what a stream of single tasks does to the many. */
import { setTimeout as sleep } from 'node:timers/promises';
import { queueName } from '../../shared/platform/queues.ts';
import { type Measurement, measure, middleOf } from '../measure.ts';
import { callerOf, type Findings, type Ground } from './ground.ts';

const waitingMin = 10_000;
const perBatch = 1_000;
/** So many more, that enough are still there when it has been measured. */
const batches = 24;
const delayMsMax = 50;
const streamCallers = 8;
/** Both rates in turns, so that what the machine does meanwhile happens to both. */
const rateRounds = 4;
const rateMs = 1_000;
/** Of the rate without others. Of two who want everything each would have half. */
const shareMin = 1 / 3;

export async function measureFairness(ground: Ground): Promise<Findings> {
  const { alice, bob, broker, redis, statOf } = ground;
  const statPath = `/filesystem/${broker.systemName}/ops/stat?${new URLSearchParams({ path: bob.home })}`;
  const bobsStat = bob.request('GET', statPath);
  const batch = alice.request('POST', '/tasks/batch', { tasks: Array.from({ length: perBatch }, () => statOf(alice)) });
  const queue = queueName('interactive', broker.systemName);
  const waiting = () => redis.zcard(`${broker.keyPrefix}:waiting:${queue}:${alice.owner}`);
  /** The worker does nothing meanwhile, or it would have done half of them before the last is accepted. */
  const fill = async (): Promise<void> => {
    for (const worker of broker.workers) worker.pause();
    for (let n = 0; n < batches; n += 1) await callerOf(ground, 63).call(batch, 200);
    for (const worker of broker.workers) worker.resume();
  };
  const drain = async (): Promise<void> => {
    while ((await waiting()) > 0) await sleep(100);
  };
  const bobCalls = async (caller: number): Promise<void> => callerOf(ground, caller).call(bobsStat, 200);
  /** Tasks of the many that end in a second. */
  const bulkRate = async (): Promise<number> => {
    const [before, since] = [await waiting(), performance.now()];
    await sleep(rateMs);
    return ((before - (await waiting())) * 1_000) / (performance.now() - since);
  };

  const alone = await measure({ callers: 1, countMax: 500, durationMsMax: 4_000 }, bobCalls);
  await fill();
  const most = await waiting();
  const beside = await measure({ callers: 1, countMax: 300, durationMsMax: 4_000 }, bobCalls);
  const least = await waiting();
  await fill();
  const rates: { alone: number[]; beside: number[] } = { alone: [], beside: [] };
  const streams: Measurement[] = [];
  for (let round = 0; round < rateRounds; round += 1) {
    rates.alone.push(await bulkRate());
    const load = { callers: streamCallers, countMax: 1_000_000, durationMsMax: rateMs };
    const stream = measure(load, bobCalls);
    rates.beside.push(await bulkRate());
    streams.push(await stream);
  }
  const [rateAlone, rateBeside] = [middle(rates.alone), middle(rates.beside)];
  const streamed = middleOf(streams);
  await drain();
  const addedMs = beside.p95 - alone.p95;
  return {
    rows: [
      { what: 'stat of bob, nobody else there', callers: 1, measurement: alone },
      { what: `stat of bob, ${waitingMin.toLocaleString('en')} of alice wait`, callers: 1, measurement: beside },
      { what: 'stats of bob, a stream of them', callers: streamCallers, measurement: streamed },
    ],
    verdicts: [
      {
        text:
          `one user with ${least.toLocaleString('en')} to ${most.toLocaleString('en')} waiting tasks delays the single task of another by ` +
          `${addedMs.toFixed(1)} ms at p95 (at most ${delayMsMax}; at least ${waitingMin.toLocaleString('en')} wait)`,
        isMet: addedMs <= delayMsMax && least >= waitingMin && beside.errors === 0,
      },
      {
        text:
          `that user's tasks end at ${rateAlone.toFixed(0)} per second, and at ${rateBeside.toFixed(0)} beside a stream of ` +
          `${streamed.ratePerSecond.toFixed(0)} single tasks of another per second (at least a third)`,
        isMet: rateBeside >= rateAlone * shareMin,
      },
    ],
  };
}

function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN;
}
