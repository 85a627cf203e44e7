/** The parsed file as the configuration the code uses; what safety needs and the file lacks is asked for at once. */

import type { ConsentLives } from '../../tasks/consent.ts';
import { Secret } from '../secret.ts';
import { buildAuthorization, buildIssuers, buildSshCredentials, buildTokens } from './build-access.ts';
import { buildMetrics } from './build-metrics.ts';
import { buildSystem } from './build-system.ts';
import { checkSealingKeys } from './check-sealing-keys.ts';
import type { AuditConfig, Config, HealthConfig, RedisConfig, SystemConfig, WebhooksConfig } from './config.ts';
import type { ConfigProblem } from './config-error.ts';
import type { LogsConfig, WatchesConfig } from './job-notices.ts';
import { createQuestions, type Questions } from './questions.ts';
import type { FileSettings } from './schema-file.ts';
import { systemSchema } from './schema-system.ts';
import { suggest } from './suggest.ts';
import type { TasksConfig } from './tasks.ts';
import { placeOf, type TreeNode } from './tree.ts';

/** The configuration and warnings. `root` tells the places. Throws ConfigError with everything missing or wrong. */
export function buildConfig(settings: FileSettings, root: TreeNode): { config: Config; warnings: ConfigProblem[] } {
  const questions = createQuestions(root);
  checkNames(settings, root, questions);
  const config: Config = {
    api: buildApi(settings),
    worker: buildWorker(settings),
    redis: buildRedis(settings, questions),
    tasks: buildTasks(settings),
    consent: buildConsent(settings),
    health: buildHealth(settings),
    events: {
      streamsPerUserMax: settings.goldcrest.events.streams_per_user_max,
      heartbeatMs: settings.goldcrest.events.heartbeat,
    },
    webhooks: buildWebhooks(settings, questions),
    audit: buildAudit(settings, questions),
    watches: buildWatches(settings),
    logs: buildLogs(settings),
    authentication: { issuers: buildIssuers(settings, questions) },
    authorization: buildAuthorization(settings, questions),
    sshCredentials: buildSshCredentials(settings, questions),
    tokens: buildTokens(settings, questions),
    systems: buildSystems(settings, questions),
    log: {
      level: settings.goldcrest.log.level ?? (settings.app_debug ? 'debug' : 'info'),
      tracing: settings.logger.enable_tracing_log,
      requestHeaders: settings.logger.loggable_request_headers,
    },
    metrics: buildMetrics(settings, questions),
  };
  questions.settle();
  return { config, warnings: questions.warnings };
}

/** Names are unique, and what refers to a system refers to one that is there. */
function checkNames(settings: FileSettings, root: TreeNode, questions: Questions): void {
  const names = settings.clusters.map(({ name }) => name);
  names.forEach((name, index) => {
    const first = names.indexOf(name);
    if (first === index) return;
    questions.refuse(
      ['clusters', index, 'name'],
      `"${name}" is also defined at ${placeOf(root, ['clusters', first, 'name'])}`,
    );
  });
  const unknown = (name: string) => {
    const meant = suggest(name, names);
    return `no system is called "${name}"${meant === null ? '' : `; did you mean "${meant}"?`}`;
  };
  for (const name of Object.keys(settings.goldcrest.systems)) {
    if (!names.includes(name)) questions.refuse(['goldcrest', 'systems', name], unknown(name));
  }
  for (const name of settings.goldcrest.worker.systems ?? []) {
    if (!names.includes(name.toLowerCase())) questions.refuse(['goldcrest', 'worker', 'systems'], unknown(name));
  }
}

function buildApi(settings: FileSettings): Config['api'] {
  const { api } = settings.goldcrest;
  return {
    host: api.host,
    port: api.port,
    publicUrl: api.public_url?.replace(/\/+$/, '') ?? null,
    rootPath: settings.apis_root_path,
    bodyBytesMax: api.body_size_max,
    trustedProxies: api.trusted_proxies,
    corsOrigins: api.cors_origins,
    holdMs: api.hold,
    drainMs: api.drain,
    docServers: settings.doc_servers ?? null,
  };
}

function buildWorker(settings: FileSettings): Config['worker'] {
  const { worker } = settings.goldcrest;
  return {
    concurrencyPerSystem: worker.concurrency_per_system,
    systems: worker.systems?.map((name) => name.toLowerCase()) ?? null,
    lanes: worker.lanes ?? null,
    drainMs: worker.drain,
    httpHost: worker.http_host,
    httpPort: worker.http_port,
    httpUrl: worker.http_url?.replace(/\/+$/, '') ?? null,
  };
}

function buildRedis(settings: FileSettings, questions: Questions): RedisConfig {
  const { redis } = settings.goldcrest;
  if (redis.url !== undefined && !isRedisAddress(redis.url)) {
    questions.refuse(['goldcrest', 'redis', 'url'], 'must be a redis:// or rediss:// address');
  }
  if (!redis.require_durability) {
    const message = 'accepted tasks can be lost when Redis stops; for development only';
    questions.warn(['goldcrest', 'redis', 'require_durability'], message);
  }
  const question = {
    key: 'goldcrest.redis.url',
    message: 'is required: the address of the Redis that keeps the tasks',
    example: { goldcrest: { redis: { url: 'redis://127.0.0.1:6379/0' } } },
  };
  return {
    url: redis.url ?? questions.ask(question, new Secret('')),
    keyPrefix: redis.key_prefix,
    requireDurability: redis.require_durability,
  };
}

function isRedisAddress(url: Secret): boolean {
  return URL.canParse(url.reveal()) && /^rediss?:$/.test(new URL(url.reveal()).protocol);
}

function buildTasks(settings: FileSettings): TasksConfig {
  const { tasks } = settings.goldcrest;
  return {
    keepMs: tasks.keep,
    heldReadKeepMs: tasks.held_read_keep,
    resultBytesMax: tasks.result_size_max,
    heldResultBytesMax: tasks.held_result_size_max,
    largeResultKeepMs: tasks.large_result_keep,
    openPerUserMax: tasks.open_per_user_max,
    openPerQueueMax: tasks.open_per_queue_max,
    openPerSystemMax: tasks.open_per_system_max,
    ratePerUser:
      tasks.rate_per_user === undefined ? null : { perSecond: tasks.rate_per_user, burst: tasks.burst_per_user },
    admittedPerUserMax: tasks.admitted_per_user_max,
    movesPerUserMax: tasks.moves_per_user_max,
    chainStepsMax: tasks.chain_steps_max,
    attemptsMax: tasks.attempts_max,
  };
}

function buildConsent({ goldcrest: { consent } }: FileSettings): ConsentLives {
  return { task: consent.task_max, chain: consent.chain_max, transfer: consent.transfer_max };
}

function buildHealth(settings: FileSettings): HealthConfig {
  const { health } = settings.goldcrest;
  return {
    failuresUntilBroken: health.failures,
    recheckMs: health.recheck,
    recoveryIntervalMs: health.recovery_interval,
  };
}

function buildWebhooks(settings: FileSettings, questions: Questions): WebhooksConfig {
  const { webhooks } = settings.goldcrest;
  checkSealingKeys('webhooks', webhooks.sealing_keys, questions);
  const proxy = webhooks.proxy_url?.reveal();
  if (proxy !== undefined && !(URL.canParse(proxy) && /^https?:$/.test(new URL(proxy).protocol))) {
    questions.refuse(['goldcrest', 'webhooks', 'proxy_url'], 'must be an http:// or https:// address');
  }
  if (webhooks.allow_http) {
    questions.warn(['goldcrest', 'webhooks', 'allow_http'], 'webhooks can be read on their way; for development only');
  }
  return {
    sealingKeys: webhooks.sealing_keys,
    targets: { allowHttp: webhooks.allow_http, ports: webhooks.ports, networks: webhooks.allowed_networks },
    dnsServers: webhooks.dns_servers,
    caFile: webhooks.ca_file ?? null,
    proxyUrl: webhooks.proxy_url ?? null,
    timeoutMs: webhooks.timeout,
    atOnceMax: webhooks.at_once_max,
    endpointsPerUserMax: webhooks.endpoints_per_user_max,
    giveUpAfterMs: webhooks.give_up_after,
  };
}

function buildAudit(settings: FileSettings, questions: Questions): AuditConfig {
  const { audit } = settings.goldcrest;
  if (audit.key !== undefined && Buffer.from(audit.key.reveal(), 'base64').length < 32) {
    questions.refuse(['goldcrest', 'audit', 'key'], 'must be base64 of at least 32 bytes');
  }
  if (audit.stdout && audit.directory !== undefined) {
    questions.refuse(['goldcrest', 'audit', 'stdout'], 'must be false where `directory` is given');
  }
  return {
    directory: audit.directory ?? null,
    isToStdout: audit.stdout,
    recordsMax: audit.records_max,
    key: audit.key ?? null,
    administrators: audit.administrators,
  };
}

function buildWatches({ goldcrest: { watches } }: FileSettings): WatchesConfig {
  return {
    bounds: { perUserMax: watches.per_user_max, totalMax: watches.total_max },
    intervalMsMin: watches.interval_min,
    intervalMsMax: Math.max(watches.interval_min, watches.interval_max),
    commandsPerMinuteMax: watches.commands_per_minute_max,
    lostAfterMs: watches.lost_after,
    keepMs: watches.keep,
    watchMsMax: watches.watch_for_max,
  };
}

function buildLogs({ goldcrest: { logs } }: FileSettings): LogsConfig {
  return {
    streamsPerUserMax: logs.streams_per_user_max,
    followMsMax: logs.follow_for_max,
    intervalMs: logs.interval,
    bytesMax: logs.bytes_max,
  };
}

function buildSystems(settings: FileSettings, questions: Questions): SystemConfig[] {
  const { systems, host_keys: sharedHostKeys, tokens, webhooks } = settings.goldcrest;
  const sealingKeys = tokens.sealing_keys.length > 0 ? tokens.sealing_keys : webhooks.sealing_keys;
  return settings.clusters.map((cluster, index) => {
    const own = Object.hasOwn(systems, cluster.name) ? systems[cluster.name] : undefined;
    const section = own ?? systemSchema.parse({});
    return buildSystem({ cluster, section, sharedHostKeys, sealingKeys, index }, questions);
  });
}
