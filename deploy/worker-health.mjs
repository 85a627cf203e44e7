/**
 * Health of the worker in this container, for a HEALTHCHECK or a liveness probe; run it where the worker runs, with the
 * worker's configuration. A worker has no HTTP port; Redis is the witness: a living worker talks to it every few seconds
 * (stalled entries, the sweeper's lease), and nothing else at this address does. Exit 0: it did lately; 1: it did not, or
 * Redis does not answer.
 */
import { loadConfig } from '../dist/shared/platform/config/load-config.js';
import { connectRedis } from '../dist/shared/platform/redis.js';

/** Above the worker's slowest beat (5 s) by far; a worker silent for so long does not turn its event loop. */
const silentSecondsMax = 30;

const quiet = { error() {}, info() {} };
const { config } = loadConfig({ env: process.env });
const redis = connectRedis(config.redis.url.reveal(), 'persist', quiet);

const giveUp = setTimeout(() => end(1, 'Redis does not answer'), 8_000);

function end(status, message) {
  clearTimeout(giveUp);
  process.stdout.write(`${message}\n`);
  process.exit(status);
}

/** `id=3 addr=10.0.0.5:51234 … idle=2 …` as an object. */
function fieldsOf(line) {
  return Object.fromEntries(line.split(' ').map((field) => field.split(/=(.*)/s)));
}

/** The address without the port; IPv6 addresses stand in brackets. */
function hostOf({ addr = '' }) {
  return addr.slice(0, addr.lastIndexOf(':'));
}

try {
  const me = fieldsOf((await redis.client('INFO')).trim());
  const clients = (await redis.client('LIST')).trim().split('\n').map(fieldsOf);
  const ours = clients.filter((client) => hostOf(client) === hostOf(me) && client.id !== me.id);
  const silentSeconds = Math.min(...ours.map(({ idle }) => Number(idle)));
  if (ours.length === 0) end(1, 'the worker is not connected to Redis');
  else if (silentSeconds > silentSecondsMax) end(1, `the worker has been silent for ${silentSeconds} s`);
  else end(0, `the worker spoke to Redis ${silentSeconds} s ago`);
} catch (error) {
  end(1, error instanceof Error ? error.message : String(error));
}
