/** The worker process: configuration → Redis and SSH → consumer, sweeper and prober → drain. Wiring only. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { createCheckConsent } from '../shared/authorization/check-consent.ts';
import { createAccess } from '../shared/authorization/create-access.ts';
import { BrokerError } from '../shared/errors/broker-error.ts';
import { createHealthStore } from '../shared/platform/health-store.ts';
import { countEnd } from '../shared/platform/metrics/count-end.ts';
import { openMetrics } from '../shared/platform/metrics/open-metrics.ts';
import { readRedisUp } from '../shared/platform/metrics/redis-reading.ts';
import { openTrail } from '../shared/platform/open-trail.ts';
import { queuePlacesOf } from '../shared/platform/queue-places.ts';
import { createQueueAdder } from '../shared/platform/queues.ts';
import { connectRedis } from '../shared/platform/redis.ts';
import { createSealer } from '../shared/platform/sealing.ts';
import { onShutdown } from '../shared/platform/shutdown.ts';
import { guardDurability, startUp } from '../shared/platform/start.ts';
import { createTaskStore } from '../shared/platform/task-store.ts';
import { createWatchStore } from '../shared/platform/watch-store.ts';
import { createWebhookStore } from '../shared/platform/webhook-store.ts';
import { openStagings } from '../shared/staging/open-stagings.ts';
import { createTokenSealer } from '../shared/tasks/sealed-token.ts';
import { createAccountToken } from './health/account-token.ts';
import { startProber } from './health/prober.ts';
import { readKnownHealth } from './health/read-known-health.ts';
import { createFindUsername } from './health/service-account.ts';
import { createJobLookups } from './job-lookups/job-lookups.ts';
import { createLookupTurns } from './job-lookups/lookup-turns.ts';
import { createSharedJobs } from './job-lookups/shared-jobs.ts';
import { textAnswerBytesMax } from './operations/filesystem/text-limit.ts';
import { createCancellations } from './runtime/cancellations.ts';
import { startConsumer } from './runtime/consumer.ts';
import { countTransfer } from './runtime/count-transfer.ts';
import type { OnEnded } from './runtime/end-attempt.ts';
import { createGlances } from './runtime/glances.ts';
import { createHandshakeLease } from './runtime/handshake-lease.ts';
import { openInternalPort } from './runtime/internal-port.ts';
import { createPerform } from './runtime/perform.ts';
import { createPlaces } from './runtime/places.ts';
import { recordCalls, recordCommands } from './runtime/record-work.ts';
import { createResultPort } from './runtime/result-port.ts';
import { createRunWatch } from './runtime/run-watch.ts';
import { sshReadings } from './runtime/ssh-readings.ts';
import { createCredentials, credentialsAt, sshHostsOf, systemAt } from './runtime/ssh-settings.ts';
import { askEveryMsOf, createStillAllowed } from './runtime/still-allowed.ts';
import { startSweeper } from './runtime/sweeper.ts';
import { createTaskRunner } from './runtime/task-runner.ts';
import { withUserToken } from './runtime/with-user-token.ts';
import { countQueries } from './schedulers/count-queries.ts';
import { createScheduler } from './schedulers/create-scheduler.ts';
import { createUserTokens } from './ssh/credentials/user-tokens.ts';
import { createSsh } from './ssh/ssh.ts';
import { createJobWatches } from './watches/begin-watch.ts';
import { startWatcher } from './watches/watcher.ts';
import { startDeliverer } from './webhooks/deliverer.ts';
import { createSsrfGuard } from './webhooks/ssrf-guard.ts';

// By itself V8 lets the heap grow by 10 to 300 %, as it thinks best. After little it takes 10 %, and bytes that pass, which it counts as the
// heap's, make it go through the whole heap for every two files of 5 MiB, for as long as they come.
setFlagsFromString('--heap-growing-percent=40');

const { config, log } = startUp(process, 'worker');
const worker = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`;
const { keyPrefix } = config.redis;
const metrics = await openMetrics('worker', config.metrics, log);
const { meter } = metrics;
const served = config.systems.filter(({ name }) => config.worker.systems?.includes(name) ?? true);

const redis = connectRedis(config.redis.url.reveal(), 'persist', log, meter);
const subscriber = connectRedis(config.redis.url.reveal(), 'persist', log, meter);
guardDurability(redis, config.redis.requireDurability, log);

const store = createTaskStore(redis, { keyPrefix, ...config.tasks });
const queues = createQueueAdder(redis, keyPrefix);
const tokenIssuer = config.authentication.issuers.find(({ tokenUrl }) => tokenUrl !== null);
const accountTokens = new Map(
  served.flatMap(({ name, serviceAccount }) =>
    serviceAccount === null ? [] : [[name, createAccountToken(serviceAccount, tokenIssuer)]],
  ),
);
const tokens = createUserTokens(async (system, username) => (await accountTokens.get(system)?.(username)) ?? null);
const credentials = createCredentials(config, tokens);
const tokenSealer = createTokenSealer(config);
const { trail } = openTrail({
  ...{ kind: 'worker', config: config.audit, keyPrefix, redis, stdout: process.stdout, meter, log },
});
const recordCommand = recordCommands(trail);
const ssh = createSsh({
  systems: served.flatMap(sshHostsOf),
  credentials: (host) => credentialsAt(host, credentials),
  handshakes: createHandshakeLease(redis, keyPrefix),
  observe: (command) => recordCommand({ ...command, system: systemAt(command.system) }),
  log,
});
const port = await openInternalPort({
  host: config.worker.httpHost,
  port: config.worker.httpPort,
  url: config.worker.httpUrl,
  log,
});
const health = createHealthStore(redis, keyPrefix);
const stagings = await openStagings(served);
const cancellations = createCancellations(subscriber, keyPrefix, log);
const places = createPlaces();
const lookups = createJobLookups(createLookupTurns(redis, subscriber, keyPrefix, log), log, meter);
const accounts = new Map(
  served.flatMap(({ name, serviceAccount }) =>
    serviceAccount === null ? [] : [[name, createFindUsername(serviceAccount, tokenIssuer)]],
  ),
);
const watches = createWatchStore(redis, keyPrefix);
const observeCalls = (system: string) => recordCalls(trail, system);
const schedulers = new Map(
  served.map((system) => {
    const { name } = system;
    return [name, countQueries(createScheduler(system, observeCalls(name)), name, meter)];
  }),
);
const access = await createAccess(config.authorization);
const checkConsent = createCheckConsent(access);
const perform = createPerform({
  systems: config.systems,
  ssh,
  stagings,
  schedulers,
  readHealth: () => readKnownHealth(health, config.systems),
  watchesOf: createJobWatches(watches, config.watches),
  logs: config.logs,
  checkPaths: access.policy === 'builtin' ? null : access.checkPaths,
  sharedJobs: createSharedJobs({ lookups, accounts, leave: places.leave, ssh }),
  port,
  tell: (task, url) => store.announce(task, url),
  noteRerun: (system) => meter.count('goldcrest_transfer_reruns_total', { system }),
  log,
});
const glances = createGlances({ store, queues, log });
const runs = createRunWatch(meter);
const systemsByName = new Map(config.systems.map((system) => [system.name, system]));
const onEnded: OnEnded = (task, end, settled) => {
  countEnd(meter, task, end, settled);
  countTransfer(meter, systemsByName, task, end, settled);
};
const runner = createTaskRunner({
  store,
  queues,
  cancellations,
  glances,
  perform: tokenSealer === null ? perform : withUserToken(perform, tokens, tokenSealer),
  stillAllowed: createStillAllowed(checkConsent),
  askEveryMs: askEveryMsOf(config.authorization),
  worker,
  attemptsMax: config.tasks.attemptsMax,
  resultBytesMax: config.tasks.resultBytesMax,
  // A text within the system's own limit is never too large, whatever JSON makes of it.
  heldResultBytesMax: Math.max(config.tasks.heldResultBytesMax, ...served.map(textAnswerBytesMax)),
  results: createResultPort(port, config.tasks.largeResultKeepMs),
  trail,
  runs,
  onEnded,
  log,
});

const queueNames = queuePlacesOf(served)
  .filter(({ lane }) => config.worker.lanes?.includes(lane) ?? true)
  .map(({ queue }) => queue);
metrics.read(readRedisUp(redis));
metrics.read(() => sshReadings(ssh.poolStats()));
metrics.read(runs.read);
// Before a task is taken: where the port cannot be had, the process ends.
await metrics.listen();
const consumer = startConsumer({
  queues: queueNames,
  concurrencyPerQueue: config.worker.concurrencyPerSystem,
  places,
  keyPrefix,
  redis,
  runner,
  takes: { worker, subscriber },
  log,
});
const prober = startProber({ config, systems: served, ssh, observe: observeCalls, store: health, worker, log });
const watcher = startWatcher({
  ...{
    systems: served,
    schedulers,
    accounts,
    ssh,
    checkConsent,
    store: watches,
    settings: config.watches,
    worker,
    log,
  },
});
const knownQueues = new Set(queuePlacesOf(config.systems).map(({ queue }) => queue));
const sweeper = startSweeper({ store, queues, redis, keyPrefix, queueNames, knownQueues, worker, onEnded, log });

const sealer = createSealer(config.webhooks.sealingKeys);
const notices = connectRedis(config.redis.url.reveal(), 'persist', log, meter);
const baseUrl = config.api.publicUrl ?? config.api.rootPath;
const { caFile, targets, dnsServers, proxyUrl } = config.webhooks;
const deliverer =
  sealer === null
    ? null
    : startDeliverer({
        ...{
          ...config.webhooks,
          store: createWebhookStore(redis, keyPrefix),
          sealer,
          redis,
          keyPrefix,
          worker,
          baseUrl,
          meter,
          log,
        },
        guard: createSsrfGuard({ ...targets, dnsServers }),
        ca: caFile === null ? null : readFileSync(caFile, 'utf8'),
        proxy: proxyUrl === null ? null : new URL(proxyUrl.reveal()),
        source: baseUrl === '' ? '/' : baseUrl,
        blocking: notices,
      });

/** Time that a task which was told to stop has to do so before the process goes. */
const abortGraceMs = 5_000;

onShutdown(
  [
    {
      name: 'consumer, sweeper, prober and watcher',
      async run() {
        const stopped = Promise.all([consumer.stop(), glances.stop(), sweeper.stop(), prober.stop(), watcher.stop()]);
        const isDrained = await Promise.race([
          stopped.then(() => true),
          sleep(config.worker.drainMs, false, { ref: false }),
        ]);
        if (isDrained) return;
        log.warn({ drainMs: config.worker.drainMs }, 'tasks still run: they are handed back');
        cancellations.stop(new BrokerError('ShuttingDown', 'The worker is shutting down.'));
        await Promise.race([stopped, sleep(abortGraceMs, undefined, { ref: false })]);
      },
    },
    { name: 'look-ups', run: async () => lookups.close() },
    // After the tasks, so that the last of them is told of too.
    { name: 'webhooks', run: async () => deliverer?.stop() },
    { name: 'ssh', run: () => ssh.close() },
    { name: 'audit', run: () => trail.close() },
    {
      name: 'staging',
      run: async () => {
        for (const staging of stagings.values()) staging.close();
      },
    },
    { name: 'internal port', run: () => port.close() },
    { name: 'queues', run: () => queues.close() },
    { name: 'metrics', run: () => metrics.close() },
    { name: 'redis', run: () => Promise.all([redis.quit(), subscriber.quit(), notices.quit()]) },
  ],
  config.worker.drainMs + 2 * abortGraceMs + 10_000,
  log,
);

await consumer.ready();
log.info({ worker, queues: queueNames }, 'worker is ready');
