/** `goldcrest sealing`: which keys seal the secrets of webhooks, and the change from one to the next. */
import type { Config } from '../shared/platform/config/config.ts';
import { loadConfig } from '../shared/platform/config/load-config.ts';
import { eachEndpoint, type KeptEndpoint } from '../shared/platform/endpoint-secrets.ts';
import { createSealer, keyIdOf, type Sealer } from '../shared/platform/sealing.ts';
import type { Endpoint } from '../shared/webhooks/endpoint.ts';
import type { CliIo } from './authz.ts';
import { sealingHelp } from './help.ts';
import { type Command, exitStatus, runCommands } from './run-commands.ts';
import { withRedis } from './with-redis.ts';

/** A secret is sealed with a key that is not configured. */
const unreadable = 1;

/** Resolves to the exit status; prints every failure. */
export function runSealing(args: readonly string[], io: CliIo): Promise<number> {
  const config = () => loadConfig({ env: io.env }).config;
  const commands: Record<string, Command<Record<string, never>>> = {
    status: (words) => (words.length === 0 ? showKeys(config(), io) : undefined),
    renew: (words) => (words.length === 0 ? renew(config(), io) : undefined),
  };
  return runCommands({ help: sealingHelp, options: {}, commands }, args, io);
}

/** A line for each key that seals something, or is configured. 1 where one of them is not configured. */
async function showKeys(config: Config, io: CliIo): Promise<number> {
  const { sealingKeys } = config.webhooks;
  const sealedBy = new Map(sealingKeys.map(({ id }) => [id, 0]));
  await withRedis(config, async (redis) => {
    for await (const { endpoint } of eachEndpoint(redis, config.redis.keyPrefix)) {
      for (const { sealed } of endpoint.keys) sealedBy.set(keyIdOf(sealed), (sealedBy.get(keyIdOf(sealed)) ?? 0) + 1);
    }
  });
  const isKnown = (id: string): boolean => sealingKeys.some((key) => key.id === id);
  for (const [id, count] of sealedBy) {
    const what =
      id === sealingKeys[0]?.id ? 'seals' : isKnown(id) ? 'opens' : 'IS NOT CONFIGURED: nothing can be signed';
    io.print(`${id}: ${count} secrets; ${what}`);
  }
  return [...sealedBy.keys()].every(isKnown) ? exitStatus.done : unreadable;
}

/** Seals all of them with the first key. 1 where some cannot be opened; those are left as they are. */
async function renew(config: Config, io: CliIo): Promise<number> {
  const sealer = createSealer(config.webhooks.sealingKeys);
  const [first] = config.webhooks.sealingKeys;
  if (sealer === null || first === undefined) {
    io.complain('There is no goldcrest.webhooks.sealing_keys to seal with.');
    return exitStatus.refused;
  }
  const count = { renewed: 0, unreadable: 0 };
  await withRedis(config, async (redis) => {
    for await (const kept of eachEndpoint(redis, config.redis.keyPrefix)) {
      const outcome = await renewOne(kept, sealer, first.id);
      if (outcome === 'unreadable') io.complain(`${kept.endpoint.id}: its secret cannot be opened`);
      if (outcome !== 'current') count[outcome] += 1;
    }
  });
  io.print(`sealed anew with ${first.id}: the secrets of ${count.renewed} webhooks; not opened: ${count.unreadable}`);
  return count.unreadable === 0 ? exitStatus.done : unreadable;
}

/** One that its owner changes meanwhile was sealed by the API then, which has the first key too. */
async function renewOne(
  { endpoint, replace }: KeptEndpoint,
  sealer: Sealer,
  first: string,
): Promise<'current' | 'renewed' | 'unreadable'> {
  if (endpoint.keys.every(({ sealed }) => keyIdOf(sealed) === first)) return 'current';
  const keys = reseal(endpoint, sealer);
  if (keys === null) return 'unreadable';
  return (await replace({ ...endpoint, keys })) ? 'renewed' : 'current';
}

function reseal({ id, keys }: Endpoint, sealer: Sealer): Endpoint['keys'] | null {
  try {
    return keys.map((key) => ({ ...key, sealed: sealer.seal(sealer.open(key.sealed, id), id) }));
  } catch {
    return null; // whichever key is missing: `status` says it
  }
}
