/** How soon after the end of a batch job its watch tells of it, and of its diagnosis. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { measurementOf } from '../measure.ts';
import { callerOf, type Findings, type Ground } from './ground.ts';

const jobs = 12;
/** The default of `goldcrest.watches.interval_min`, and a second for everything else. */
const endedMsMax = 3_000;
const diagnosedMsMax = 10_000;
const waitMsMax = 60_000;

/** Collects, by watch and type, when an event came. */
async function followJobs({ broker, alice }: Ground, signal: AbortSignal): Promise<Map<string, number>> {
  const headers = { authorization: `Bearer ${alice.token}` };
  const answer = await fetch(`${broker.url}/events`, { headers, signal });
  const came = new Map<string, number>();
  const read = async (): Promise<void> => {
    let text = '';
    for await (const chunk of (answer.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
      const blocks = `${text}${chunk}`.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (data === undefined) continue;
        const event = JSON.parse(data) as { type: string; data: { watchId?: string } };
        came.set(`${event.data.watchId} ${event.type}`, Date.now());
      }
    }
  };
  read().catch(() => undefined); // it is ended by the signal
  return came;
}

export async function measureWatches(ground: Ground): Promise<Findings> {
  const { alice, broker } = ground;
  const stop = new AbortController();
  const came = await followJobs(ground, stop.signal);
  const begin = performance.now();
  const watched: { watchId: string; file: string }[] = [];
  for (let n = 0; n < jobs; n += 1) {
    const file = join(alice.home, `goldcrest-bench-ended-${n}`);
    rmSync(file, { force: true });
    // It fails, so that there is something to diagnose; what it does last is to say when.
    const script = `#!/bin/sh\n#SBATCH --time=5 --mem=50M --output=/dev/null\nsleep ${(n % 4) + 1}\ndate +%s%3N > ${file}\nexit 3\n`;
    const job = { workingDirectory: alice.home, script };
    const path = `/compute/${broker.systemName}/jobs`;
    const answer = await callerOf(ground, 0).read(alice.request('POST', path, { job, watch: true }), 201);
    watched.push({ watchId: (JSON.parse(answer) as { watchId: string }).watchId, file });
  }
  const isDone = (): boolean => watched.every(({ watchId }) => came.has(`${watchId} job.diagnosed`));
  while (!isDone() && performance.now() - begin < waitMsMax) await sleep(20);
  stop.abort();
  const told = watched.flatMap(({ watchId, file }) => {
    const [ended, diagnosed] = [came.get(`${watchId} job.ended`), came.get(`${watchId} job.diagnosed`)];
    if (ended === undefined || diagnosed === undefined) return [];
    const at = Number(readFileSync(file, 'utf8'));
    return [{ endedMs: ended - at, diagnosedMs: diagnosed - ended }];
  });
  for (const { file } of watched) rmSync(file, { force: true });
  const tookMs = performance.now() - begin;
  const ended = told.map(({ endedMs }) => endedMs);
  const diagnosed = told.map(({ diagnosedMs }) => diagnosedMs);
  const seconds = (values: readonly number[]) => (Math.max(...values) / 1_000).toFixed(1);
  const missing = jobs - told.length;
  return {
    rows: [
      { what: 'end of a Slurm job → job.ended', callers: 1, measurement: measurementOf(ended, tookMs) },
      { what: 'job.ended → job.diagnosed', callers: 1, measurement: measurementOf(diagnosed, tookMs) },
    ],
    verdicts: [
      {
        text: `end of a Slurm job → job.ended received: ${seconds(ended)} s at most (one interval of 2 s, and 1 s), ${missing} of ${jobs} missing (0)`,
        isMet: missing === 0 && ended.every((ms) => ms <= endedMsMax),
      },
      {
        text: `from there to job.diagnosed: ${seconds(diagnosed)} s at most (10 s)`,
        isMet: missing === 0 && diagnosed.every((ms) => ms <= diagnosedMsMax),
      },
    ],
  };
}
