/**
 * Many users at once against an sshd as OpenSSH ships it (MaxSessions 10, MaxStartups 10:30:100): nobody's request fails
 * for want of a channel. GOLDCREST_TEST_LOAD_USERS takes fewer users than the 100 of the guarantee.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Lab, startLab } from '../../lab/lab.ts';
import type { LabUser } from '../../lab/users.ts';
import { type Broker, type Client, clientOf, pathQuery, startBroker } from './broker-fixture.ts';
import { homeDirectory, type OwnDirectory } from './home-directory.ts';

const usersCount = Number(process.env.GOLDCREST_TEST_LOAD_USERS ?? 100);
const workers = 3;
/** Requests of one user under way at any time: 30 for each worker, so that each has its 30 if they share evenly. */
const parallel = 30 * workers;
/** How often each of them is followed by the next. */
const rounds = 2;

let lab: Lab;
let broker: Broker;
let load: { user: LabUser; client: Client; own: OwnDirectory }[];

beforeAll(async () => {
  lab = await startLab({ parts: ['redis', 'sshd', 'oidc'], loadUsers: usersCount, handlesSignals: false });
  // FirecREST's own default: 5 s for a command, which must not include the wait for a login in a crowd.
  const ssh = { timeout: { command_execution: 5 } };
  broker = await startBroker(lab, { workers, scheduler: 'process', ssh });
  const users = lab.users.filter(({ name }) => name.startsWith('load'));
  load = await Promise.all(
    users.map(async (user) => {
      const own = homeDirectory(user);
      for (let number = 0; number < 10; number += 1) writeFileSync(join(own.path, `f${number}`), 'x'.repeat(number));
      own.giveAway();
      return { user, own, client: await clientOf(lab.oidc, broker.url, user.name) };
    }),
  );
}, 120_000);

afterAll(async () => {
  for (const { own } of load ?? []) own.remove();
  await broker?.stop();
  await lab?.stop();
}, 60_000);

/** Mostly stat, some ls, and one in fifteen that runs a command (which finds no such job). */
function requestOf(number: number, folder: string): { path: string; status: number } {
  if (number % 15 === 7) return { path: '/compute/lab/jobs/1', status: 404 };
  if (number % 5 === 0) return { path: `/filesystem/lab/ops/ls?${pathQuery(folder)}`, status: 200 };
  return { path: `/filesystem/lab/ops/stat?${pathQuery(`${folder}/f${number % 10}`)}`, status: 200 };
}

it(`${usersCount} users with ${parallel} requests each at a time over ${workers} workers: not one fails`, {
  timeout: 300_000,
}, async ({ annotate }) => {
  const failures = new Map<string, number>();
  const tookMs: number[] = [];
  const startedAt = performance.now();
  const call = async (client: Client, own: OwnDirectory, lane: number): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) {
      const { path, status } = requestOf(lane + round * parallel, own.path);
      const sentAt = performance.now();
      const answer = await client.get(path);
      tookMs.push(performance.now() - sentAt);
      if (answer.status === status) continue;
      const failure = `${answer.status} ${answer.body?.code}: ${answer.body?.message}`;
      failures.set(failure, (failures.get(failure) ?? 0) + 1);
    }
  };
  const calls: Promise<void>[] = [];
  for (let lane = 0; lane < parallel; lane += 1) {
    calls.push(...load.map(({ client, own }) => call(client, own, lane)));
    // Thousands of connections: the next come when the API has taken these, so that it is no test of the TCP backlog.
    await load[0]?.client.get('/livez');
  }
  await Promise.all(calls);
  const seconds = (performance.now() - startedAt) / 1_000;
  const log = readFileSync(lab.sshd.logFile, 'utf8');
  const logins = log.match(/Accepted publickey/g)?.length ?? 0;
  tookMs.sort((a, b) => a - b);
  const quantile = (part: number) => `${Math.round(tookMs[Math.floor(tookMs.length * part)] ?? 0)} ms`;
  await annotate(
    `${tookMs.length} requests in ${seconds.toFixed(1)} s (${Math.round(tookMs.length / seconds)}/s), ` +
      `p50 ${quantile(0.5)}, p99 ${quantile(0.99)}, slowest ${quantile(0.99999)}; ${logins} logins`,
  );
  expect(Object.fromEntries(failures)).toEqual({});
  expect(tookMs).toHaveLength(usersCount * parallel * rounds);
  expect(log).not.toMatch(/no more sessions/);
});
