/** The sealed secrets of all webhooks, for who changes the keys that seal them. It looks at every owner: not for requests. */
import { type Endpoint, storedEndpoint } from '../webhooks/endpoint.ts';
import { endpointsKey } from './event-script.ts';
import { type Redis, withStore } from './redis.ts';

export interface KeptEndpoint {
  endpoint: Endpoint;
  /** Writes it back unless its owner has changed it since; false: it was changed, or is gone. */
  replace(changed: Endpoint): Promise<boolean>;
}

/** Only where what stands there is what was read. KEYS: the owner's endpoints. ARGV: id, text that was read, new text. */
const exchangeScript = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1`;

const keysAtOnce = 500;

/** Every endpoint that is there all the while, at least once. StoreUnavailable. */
export async function* eachEndpoint(redis: Redis, keyPrefix: string): AsyncGenerator<KeptEndpoint> {
  const pattern = `${keyPrefix.replaceAll(/[[\]*?\\]/g, '\\$&')}${endpointsKey('', '*')}`;
  for (let cursor = '0'; ; ) {
    const [next, keys] = await withStore(() => redis.scan(cursor, 'MATCH', pattern, 'COUNT', keysAtOnce));
    for (const key of keys) {
      const texts = await withStore(() => redis.hvals(key));
      for (const text of texts) yield keptAt(redis, key, text);
    }
    if (next === '0') return;
    cursor = next;
  }
}

function keptAt(redis: Redis, key: string, text: string): KeptEndpoint {
  const endpoint = storedEndpoint.parse(JSON.parse(text));
  return {
    endpoint,
    replace: (changed) =>
      withStore(
        async () => (await redis.eval(exchangeScript, 1, key, endpoint.id, text, JSON.stringify(changed))) === 1,
      ),
  };
}
