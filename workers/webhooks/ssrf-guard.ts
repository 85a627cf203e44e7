/**
 * Resolves where a webhook goes and says which addresses may be connected to. The connection is then made to an address
 * that was looked at here, never to the name again, so that an answer which changes meanwhile changes nothing.
 */
import { lookup, Resolver } from 'node:dns/promises';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import { admitTarget, isAddressAllowed, literalOf, type TargetRules } from '../../shared/webhooks/target-rules.ts';

export interface Target {
  url: URL;
  /** At least one; each was looked at. */
  addresses: string[];
}

export interface SsrfGuard {
  /** WebhookNotAllowed; rejects with the resolver's error where the name does not resolve. */
  admit(url: string): Promise<Target>;
}

export interface SsrfGuardOptions extends TargetRules {
  /** Addresses of DNS servers; empty: as the machine resolves names. */
  dnsServers: readonly string[];
}

/** Addresses of one name that are looked at; a name with more is refused. */
const addressesMax = 16;
/** Time for one DNS server to answer, and how often it is asked. */
const dnsTimeoutMs = 2_000;
const dnsTries = 2;

export function createSsrfGuard(options: SsrfGuardOptions): SsrfGuard {
  const resolve = options.dnsServers.length === 0 ? resolveBySystem : createResolve(options.dnsServers);
  return {
    async admit(text) {
      const url = admitTarget(text, options);
      const literal = literalOf(url);
      const addresses = literal === null ? await resolve(url.hostname) : [literal];
      const isAllowed = addresses.every((address) => isAddressAllowed(address, options.networks));
      // One bad address is enough: whoever answers so is trying something.
      if (!isAllowed || addresses.length === 0 || addresses.length > addressesMax) {
        throw new BrokerError('WebhookNotAllowed', "The webhook's address is not public.", {
          detail: { host: url.hostname, addresses: addresses.slice(0, addressesMax) },
        });
      }
      return { url, addresses };
    },
  };
}

async function resolveBySystem(name: string): Promise<string[]> {
  return (await lookup(name, { all: true, verbatim: true })).map(({ address }) => address);
}

function createResolve(servers: readonly string[]): (name: string) => Promise<string[]> {
  const resolver = new Resolver({ timeout: dnsTimeoutMs, tries: dnsTries });
  resolver.setServers(servers);
  return async (name) => {
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const found = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (found.length === 0 && v4.status === 'rejected') throw v4.reason;
    return found;
  };
}
