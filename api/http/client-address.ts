/** Where a request comes from: the peer, or what proxies that are trusted say of it in X-Forwarded-For. */
import ipaddr from 'ipaddr.js';

export interface AddressSource {
  /** Address of the peer of the connection; undefined where there is none. */
  peer: string | undefined;
  /** The header, where it was sent. */
  forwardedFor: string | undefined;
}

type Network = ReturnType<typeof ipaddr.parseCIDR>;

/**
 * The function that names the client. It goes back through X-Forwarded-For for as long as the address before is a trusted
 * proxy's; without trusted proxies the header counts for nothing. IPv4 in IPv6 is shown as IPv4. Undefined where the
 * address cannot be read. `proxies` are CIDR.
 */
export function createClientAddress(proxies: readonly string[]): (source: AddressSource) => string | undefined {
  const networks = proxies.map((network) => ipaddr.parseCIDR(network));
  return ({ peer, forwardedFor }) => {
    const hops = [...(forwardedFor === undefined ? [] : forwardedFor.split(',')), peer ?? ''];
    let client: string | undefined;
    for (const hop of hops.reverse()) {
      const text = hop.trim();
      if (!ipaddr.isValid(text)) return undefined;
      const address = ipaddr.process(text);
      client = address.toString();
      if (!networks.some((network) => isIn(address, network))) return client;
    }
    return client;
  };
}

function isIn(address: ReturnType<typeof ipaddr.process>, [range, bits]: Network): boolean {
  return address.kind() === range.kind() && address.match(range, bits);
}
