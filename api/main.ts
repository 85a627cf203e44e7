/** The API process: configuration → Redis, tokens, gate → app → listen → drain. Wiring only. */
import { randomUUID } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { createAccess } from '../shared/authorization/create-access.ts';
import { createEventStore } from '../shared/platform/event-store.ts';
import { freePassed } from '../shared/platform/free-passed.ts';
import { createHealthStore } from '../shared/platform/health-store.ts';
import { createJobNumbers } from '../shared/platform/job-numbers.ts';
import { createKeptAnswers } from '../shared/platform/kept-answers.ts';
import { openMetrics } from '../shared/platform/metrics/open-metrics.ts';
import { readQueues } from '../shared/platform/metrics/queue-readings.ts';
import { readRedisUp } from '../shared/platform/metrics/redis-reading.ts';
import { openTrail } from '../shared/platform/open-trail.ts';
import { createProofMemory } from '../shared/platform/proof-memory.ts';
import { queuePlacesOf } from '../shared/platform/queue-places.ts';
import { createQueueAdder } from '../shared/platform/queues.ts';
import { connectRedis, withStore } from '../shared/platform/redis.ts';
import { createSealer } from '../shared/platform/sealing.ts';
import { onShutdown } from '../shared/platform/shutdown.ts';
import { guardDurability, startUp } from '../shared/platform/start.ts';
import { createTaskStore } from '../shared/platform/task-store.ts';
import { version } from '../shared/platform/version.ts';
import { createWatchStore } from '../shared/platform/watch-store.ts';
import { createWebhookStore } from '../shared/platform/webhook-store.ts';
import { openStagings } from '../shared/staging/open-stagings.ts';
import { createTokenSealer } from '../shared/tasks/sealed-token.ts';
import { createApp } from './app.ts';
import { createIsAdministrator } from './auth/administrators.ts';
import { createProofChecker } from './auth/proof-checker.ts';
import { createTokenVerifier } from './auth/token-verifier.ts';
import { createEventHub } from './events/event-hub.ts';
import { createEventTickets } from './events/event-tickets.ts';
import { readServices } from './health/health-readings.ts';
import { createHealthView } from './health/health-view.ts';
import { createRequireHealthy } from './health/require-healthy.ts';
import { listen } from './http/listen.ts';
import { createWorkerPort } from './http/worker-port.ts';
import { createHandOver } from './tasks/hand-over.ts';
import { storeReadings } from './tasks/store-readings.ts';
import { watchStoreRoom } from './tasks/store-room.ts';
import { createTaskGate } from './tasks/task-gate.ts';
import { createWaiters } from './tasks/waiters.ts';

// Little lives long here, so the heap is collected when it has grown by 40 %: V8 would let it grow to several times that.
setFlagsFromString('--heap-growing-percent=40');

const { config, log } = startUp(process, 'api');
const instance = randomUUID();
const { keyPrefix } = config.redis;
const metrics = await openMetrics('api', config.metrics, log);
const { meter } = metrics;

const redis = connectRedis(config.redis.url.reveal(), 'answer', log, meter);
const wakeUps = connectRedis(config.redis.url.reveal(), 'persist', log, meter);
const subscriber = connectRedis(config.redis.url.reveal(), 'persist', log, meter);
guardDurability(redis, config.redis.requireDurability, log);

const store = createTaskStore(redis, { keyPrefix, ...config.tasks });
const queues = createQueueAdder(redis, keyPrefix, createHandOver(redis, subscriber, keyPrefix).send);
const waiters = createWaiters(subscriber, store, { keyPrefix, instance, log });
const room = watchStoreRoom(redis, log);
const jobNumbers = createJobNumbers(redis, keyPrefix);
const tokenSealer = createTokenSealer(config);
const access = await createAccess(config.authorization);
const gate = createTaskGate({
  policy: access.policy,
  ...{ store, queues, waiters, room, instance, jobNumbers },
  ...(tokenSealer === null ? {} : { sealToken: tokenSealer.seal }),
  meter,
  settings: { ...config.tasks, consentLives: config.consent },
});
const stagings = await openStagings(config.systems);
const probed = config.systems.filter(({ probing }) => Object.keys(probing.services ?? {}).length > 0);
const health = createHealthStore(redis, keyPrefix);
const healthView = createHealthView({
  store: health,
  systems: probed.map(({ name }) => name),
  log,
});
const workers = createWorkerPort(freePassed);
const events = createEventStore(redis, keyPrefix);
const hub = createEventHub(wakeUps, events, { keyPrefix, streamsPerUserMax: config.events.streamsPerUserMax, log });
const { trail, store: auditStore } = openTrail({
  ...{ kind: 'api', config: config.audit, keyPrefix, redis, stdout: process.stdout, meter, log },
});
const sealer = createSealer(config.webhooks.sealingKeys);
let isStopping = false;

const app = createApp({
  config: { ...config, version },
  gate,
  jobNumbers,
  stagings,
  watches: createWatchStore(redis, keyPrefix),
  webhooks: {
    store: createWebhookStore(redis, keyPrefix),
    sealer,
    targets: config.webhooks.targets,
    endpointsPerUserMax: config.webhooks.endpointsPerUserMax,
  },
  answers: sealer === null ? null : createKeptAnswers(redis, keyPrefix, sealer, meter),
  notices: {
    ...{ hub, events, tickets: createEventTickets(redis, keyPrefix) },
    heartbeatMs: config.events.heartbeatMs,
  },
  verifyToken: createTokenVerifier({
    issuers: config.authentication.issuers,
    checkProof: createProofChecker(createProofMemory(redis, keyPrefix)),
    log,
  }),
  ...access,
  audit: {
    ...{ trail, store: auditStore },
    isAdministrator: createIsAdministrator(config, access.checkAccess),
  },
  requireHealthy: createRequireHealthy(healthView.find, config.health.recoveryIntervalMs),
  health,
  workers,
  meter,
  log,
  readiness: async () => {
    if (isStopping) throw new Error('stopping');
    await withStore(() => redis.ping());
  },
});

metrics.read(readRedisUp(redis));
metrics.read(readQueues(redis, keyPrefix, queuePlacesOf(config.systems)));
metrics.read(() => storeReadings(room.memory()));
const namesProbed = probed.map(({ name }) => name);
metrics.read(readServices(namesProbed, healthView.find));
await metrics.listen();
const listener = await listen({ app, host: config.api.host, port: config.api.port, log });
log.info({ host: config.api.host, port: listener.port, instance }, 'API is ready');

onShutdown(
  [
    // First: a stream is a request that would not end by itself.
    { name: 'event streams', run: async () => hub.close() },
    {
      name: 'http',
      run() {
        isStopping = true;
        return listener.close(config.api.drainMs);
      },
    },
    { name: 'health', run: async () => healthView.close() },
    { name: 'waiters', run: async () => waiters.close() },
    { name: 'room', run: async () => room.close() },
    { name: 'worker connections', run: async () => workers.close() },
    { name: 'audit', run: () => trail.close() },
    { name: 'queues', run: () => queues.close() },
    { name: 'metrics', run: () => metrics.close() },
    {
      name: 'redis',
      run: async () => {
        for (const connection of [redis, subscriber, wakeUps]) connection.disconnect();
      },
    },
  ],
  config.api.drainMs + 10_000,
  log,
);
