/**
 * The `goldcrest` section of the configuration file: what FirecREST v2 has no word for. Every key is checked; durations
 * and sizes are written with their unit. `loadConfig` asks for what has no safe default.
 */
import { z } from 'zod';
import { lanes } from '../../operations/lanes.ts';
import { isNetwork } from '../../webhooks/target-rules.ts';
import { consent } from './schema-consent.ts';
import {
  duration,
  flag,
  integer,
  networks,
  port,
  secret,
  section,
  size,
  text,
  textList,
  webAddress,
} from './schema-fields.ts';
import { sshCredentialsSchema } from './schema-firecrest.ts';
import { issuer } from './schema-issuers.ts';
import { logs, watches } from './schema-job-notices.ts';
import { metrics } from './schema-metrics.ts';
import { hostKeys, systemSchema } from './schema-system.ts';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

const api = section({
  host: text().default('0.0.0.0').describe('Address the API binds.'),
  port: port(0).default(8000).describe('Its port; 0: any free one.'),
  public_url: webAddress()
    .optional()
    .describe('Address clients use. Not given: links are relative, and the metadata of RFC 9728 is not served.'),
  body_size_max: size({ minBytes: 2 ** 10, maxBytes: 2 ** 28 })
    .prefault('8MiB')
    .describe('Largest JSON body.'),
  hold: duration({ minMs: 1_000, maxMs: 60 * minuteMs })
    .prefault('60s')
    .describe('Longest time a FirecREST request waits for its task.'),
  trusted_proxies: networks()
    .default([])
    .describe('Networks (CIDR) of proxies whose `X-Forwarded-For` is believed, for grants limited to addresses.'),
  cors_origins: z
    .array(text().regex(/^https?:\/\/[^/\s*]+$/, 'must be an origin, such as https://portal.example.org'))
    .max(100)
    .default([])
    .describe('Origins whose pages may call the API in a browser; none if empty.'),
  drain: duration({ minMs: 0, maxMs: 60 * minuteMs })
    .prefault('30s')
    .describe('Time for held requests when the API is told to stop.'),
});

const worker = section({
  concurrency_per_system: integer(1, 10_000).default(128).describe('Tasks of one system that a worker runs at once.'),
  systems: textList().optional().describe('Systems this worker serves; all if not given.'),
  lanes: z
    .array(z.enum(lanes))
    .min(1)
    .optional()
    .describe(
      'Kinds of work this worker does; all if not given. `move` is long work on files: with the mover `stream` its bytes pass through the worker, which then should do nothing else.',
    ),
  drain: duration({ minMs: 0, maxMs: 60 * minuteMs })
    .prefault('30s')
    .describe('Time for running tasks when the worker is told to stop.'),
  http_host: text()
    .default('127.0.0.1')
    .describe('Address of the internal port, where the API fetches results too large for Redis.'),
  http_port: port(0).default(0).describe('That port; 0: any free one.'),
  http_url: webAddress()
    .optional()
    .describe('Where the API reaches that port; its address, or the name of the machine, if not given.'),
});

const redis = section({
  url: secret().optional().describe('`redis://` or `rediss://` address. Required.'),
  key_prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,32}$/, 'must be letters, digits, hyphens, underscores; 32 at most')
    .default('gc')
    .describe('Begins every key.'),
  require_durability: flag()
    .default(true)
    .describe('Refuse to start unless Redis has `appendonly yes`, `appendfsync always` and `noeviction`.'),
});

const tasks = section({
  keep: duration({ minMs: minuteMs, maxMs: 365 * dayMs })
    .prefault('7d')
    .describe('A finished task is kept so long.'),
  held_read_keep: duration({ minMs: 1_000, maxMs: dayMs })
    .prefault('60s')
    .describe('The record of a read that was answered at once is kept so long.'),
  result_size_max: size({ minBytes: 2 ** 16, maxBytes: 2 ** 24 })
    .prefault('256KiB')
    .describe(
      'Largest result that is kept with its task. Larger ones of reads wait at the worker, those of changes are shortened.',
    ),
  held_result_size_max: size({ minBytes: 2 ** 10, maxBytes: 2 ** 28 })
    .prefault('16MiB')
    .describe('Largest result that goes from worker to API past Redis; more where `max_ops_file_size` needs it.'),
  large_result_keep: duration({ minMs: 1_000, maxMs: dayMs })
    .prefault('10m')
    .describe(
      'A result that is too large to be kept with its task, and that no request was held for, waits so long at its worker.',
    ),
  open_per_user_max: integer(1, 10_000_000).default(20_000).describe('Unfinished tasks of one user.'),
  open_per_queue_max: integer(1, 100_000_000).default(200_000).describe('Unfinished tasks of one lane of a system.'),
  open_per_system_max: integer(1, 100_000_000)
    .default(400_000)
    .describe('Unfinished tasks of one system, in all of its lanes.'),
  rate_per_user: integer(1, 1_000_000)
    .optional()
    .describe('Tasks a user may submit each second, by any route, over all API processes; no limit if not given.'),
  burst_per_user: integer(1, 10_000_000)
    .default(1_000)
    .describe('Tasks a user may submit at once after a rest, where `rate_per_user` is given.'),
  admitted_per_user_max: integer(1, 10_000).default(32).describe('Tasks of one user that stand in a queue at once.'),
  moves_per_user_max: integer(1, 1_000)
    .default(4)
    .describe('Transfers of one user that run at once on a system; uploads that wait for the client do not count.'),
  chain_steps_max: integer(1, 100).default(16).describe('Steps of one chain.'),
  attempts_max: integer(1, 20).default(3).describe('Runs of one task, the first included.'),
});

const health = section({
  failures: integer(1, 10).default(2).describe('Failed probes in a row until a service counts as broken.'),
  recheck: duration({ minMs: 100, maxMs: minuteMs })
    .prefault('1500ms')
    .describe('Time from a failed probe to the next one, until it counts.'),
  recovery_interval: duration({ minMs: 500, maxMs: 10 * minuteMs })
    .prefault('5s')
    .describe('Time between probes of a broken service, and the `Retry-After` of what is refused for it.'),
});

const events = section({
  streams_per_user_max: integer(1, 10_000)
    .default(50)
    .describe('Event streams that one user may have open with one API process.'),
  heartbeat: duration({ minMs: 1_000, maxMs: 5 * minuteMs })
    .prefault('15s')
    .describe(
      'Time between the signs of life on an event stream; shorter than what proxies on the way allow to be idle.',
    ),
});

const sealingKey = section({
  id: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,32}$/, 'must be letters, digits, hyphens, underscores; 32 at most')
    .describe('Names the key in what it sealed.'),
  key: secret().describe('Base64 of 32 random bytes: `openssl rand -base64 32`.'),
});

const tokens = section({
  sealing_keys: z
    .array(sealingKey)
    .max(10)
    .default([])
    .describe(
      'Keys that seal the access token of a task in Redis while the task is open; the first seals, all open. Required with SSHService and SSHCA, which give credentials to a token only; other types keep no token.',
    ),
});

const network = text().refine(isNetwork, 'must be a network, such as 10.0.0.0/8 or fd00::/8');

const webhooks = section({
  sealing_keys: z
    .array(sealingKey)
    .max(10)
    .default([])
    .describe(
      'Keys that seal the secrets of webhooks in Redis; the first seals, all open. Without one there are no webhooks.',
    ),
  allow_http: flag().default(false).describe('For development only: webhooks may go to plain http addresses.'),
  ports: z.array(port(1)).min(1).max(100).default([443]).describe('Ports that webhooks may go to.'),
  allowed_networks: z
    .array(network)
    .max(100)
    .default([])
    .describe(
      'Networks that webhooks may go to though they are not public; given, short and local names are taken too.',
    ),
  dns_servers: textList()
    .default([])
    .describe('DNS servers to ask for the names of receivers; as the machine does if empty.'),
  ca_file: text().optional().describe('PEM certificates to trust in receivers; the usual ones if not given.'),
  proxy_url: secret()
    .optional()
    .describe(
      'HTTP proxy to reach receivers through, as `http://user:password@host:port`; it is asked for addresses that were looked at here, by CONNECT.',
    ),
  timeout: duration({ minMs: 100, maxMs: minuteMs }).prefault('15s').describe('Time for one attempt.'),
  at_once_max: integer(1, 10_000).default(64).describe('Attempts that one worker makes at once.'),
  endpoints_per_user_max: integer(1, 1_000).default(20).describe('Endpoints of one user.'),
  give_up_after: duration({ minMs: 1_000, maxMs: 365 * dayMs })
    .prefault('5d')
    .describe('An endpoint whose attempts all fail for so long is disabled.'),
});

const audit = section({
  directory: text()
    .optional()
    .describe(
      'Where records are written as lines of JSON, a file for each process; while that fails, changes are refused. Not given: nowhere.',
    ),
  stdout: flag().default(false).describe('Write these lines to standard output, among those of the log.'),
  records_max: integer(1_000, 100_000_000)
    .default(100_000)
    .describe('Newest records that Redis keeps, for `GET /audit`; about 1 KB each.'),
  key: secret()
    .optional()
    .describe(
      'Base64 of 32 random bytes: the chain of records is made with it, so that nobody without it can make one anew. Keep it for `goldcrest audit verify`.',
    ),
  administrators: textList()
    .default([])
    .describe(
      'Users who may read the records of all, where there is no OpenFGA; with it, who may `administer` `broker:goldcrest`.',
    ),
});

const authorization = section({
  type: z.enum(['builtin', 'openfga']).optional().describe('`openfga` if a store or `auth.authorization` is given.'),
  url: webAddress().optional().describe('Address of OpenFGA; as in `auth.authorization` if not given.'),
  store_id: text().optional().describe('Its store. Required with OpenFGA.'),
  model_id: text().optional().describe('Authorization model; the newest of the store if not given.'),
  api_token: secret().optional().describe('Preshared key of OpenFGA.'),
  timeout: duration({ minMs: 50, maxMs: minuteMs }).optional().describe('Time for one check; 1s if not given.'),
  connections_max: integer(1, 10_000).optional().describe('Connections to it; 100 if not given.'),
  cache: duration({ minMs: 0, maxMs: 5 * minuteMs })
    .prefault('10s')
    .describe(
      'A permission is remembered so long: a grant that is taken back may count till then. A refusal: 1s at most.',
    ),
});

const log = section({
  level: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'])
    .optional()
    .describe('`info`, or `debug` with `app_debug`, if not given.'),
});

/** The `goldcrest` section. */
export const goldcrestSchema = section({
  api: api.prefault({}).describe('The HTTP process.'),
  worker: worker.prefault({}).describe('The executing process.'),
  redis: redis.prefault({}).describe('The task store.'),
  tasks: tasks.prefault({}).describe('How long and how many.'),
  consent: consent
    .prefault({})
    .describe('How long the broker may act for a user who is not there; watches: `watch_for_max`.'),
  health: health.prefault({}).describe('When a service that is probed (`probing` of a system) counts as broken.'),
  events: events.prefault({}).describe('Event streams.'),
  webhooks: webhooks.prefault({}).describe('Signed messages to addresses of users.'),
  audit: audit.prefault({}).describe('The record of what was asked and done.'),
  watches: watches.prefault({}).describe('Watches of batch jobs.'),
  logs: logs.prefault({}).describe('Output of jobs that is followed while they run.'),
  issuers: z
    .array(issuer)
    .min(1)
    .max(50)
    .prefault([{}])
    .describe('Who may issue tokens; the first takes what it lacks from `auth`.'),
  authorization: authorization.prefault({}).describe('Who may do what.'),
  ssh_credentials: sshCredentialsSchema.optional().describe('Takes the place of the file’s `ssh_credentials`.'),
  tokens: tokens.prefault({}).describe('Access tokens that tasks need.'),
  host_keys: hostKeys.optional().describe('Host keys of all systems that have none of their own.'),
  systems: z.record(z.string(), systemSchema).default({}).describe('By system name.'),
  log: log.prefault({}).describe('What is written down.'),
  metrics: metrics.prefault({}).describe('What Prometheus fetches; nothing without a port.'),
});
