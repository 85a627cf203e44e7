/**
 * Which addresses a webhook may go to: the rules against requests forged through us into places that only we can
 * reach (SSRF). The API looks at the text of an address with them, the worker at what it resolved to.
 */
import ipaddr from 'ipaddr.js';
import { BrokerError } from '../errors/broker-error.ts';

export interface TargetRules {
  /** For development and closed networks: plain http may be used too. */
  allowHttp: boolean;
  /** TCP ports. */
  ports: readonly number[];
  /** CIDR networks that may be reached though they are not public. */
  networks: readonly string[];
}

/** Longest address, in characters. */
export const urlCharsMax = 2_048;

/** Names that lead to the machine itself or into a private network, whatever they resolve to. */
const privateName = /^(localhost|.*\.(localhost|local|internal|intranet|lan|home\.arpa|corp|home))$/;
/** Addresses in public space that a cloud answers itself: Azure's wire server. */
const cloudAddresses: readonly string[] = ['168.63.129.16'];
/** RFC 4291: all that is handed out for global use. */
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');

function refuse(why: string): BrokerError {
  return new BrokerError('WebhookNotAllowed', `The webhook's address ${why}.`);
}

/** Whether a connection may be made to an IP address. What is no IP address may not. */
export function isAddressAllowed(text: string, networks: readonly string[]): boolean {
  if (!ipaddr.isValid(text) || text.includes('%')) return false;
  // An IPv4 address in the clothes of IPv6 is looked at as what it is.
  const address = ipaddr.process(text);
  if (networks.some((network) => isWithin(address, network))) return true;
  if (cloudAddresses.includes(address.toString()) || address.range() !== 'unicast') return false;
  return address instanceof ipaddr.IPv4 || address.match(globalUnicast);
}

function isWithin(address: ipaddr.IPv4 | ipaddr.IPv6, network: string): boolean {
  const [base, bits] = ipaddr.parseCIDR(network);
  return base.kind() === address.kind() && address.match([base, bits] as [ipaddr.IPv4, number]);
}

/** Whether a text is a network as the configuration has it: `10.0.0.0/8`. */
export function isNetwork(text: string): boolean {
  return ipaddr.isValidCIDR(text);
}

/** The literal address that a URL names as its host; null for a name. */
export function literalOf(url: URL): string | null {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return ipaddr.isValid(host) ? host : null;
}

/** The address, if its text is admissible. Literals in any spelling are looked at as what they mean. WebhookNotAllowed. */
export function admitTarget(text: string, rules: TargetRules): URL {
  if (text.length > urlCharsMax) throw refuse(`is longer than ${urlCharsMax} characters`);
  // The parser would drop or rewrite these in silence.
  if (/[\s\\]|[^\x21-\x7e]/.test(text)) throw refuse('holds characters that must be percent-encoded');
  if (!URL.canParse(text)) throw refuse('is not a valid URL');
  const url = new URL(text);
  const isHttp = url.protocol === 'http:' && rules.allowHttp;
  if (url.protocol !== 'https:' && !isHttp)
    throw refuse(`must begin with https://${rules.allowHttp ? ' or http://' : ''}`);
  if (url.username !== '' || url.password !== '') throw refuse('must not hold a user name or a password');
  if (url.hash !== '') throw refuse('must not hold a fragment');
  const port = url.port === '' ? (isHttp ? 80 : 443) : Number(url.port);
  if (!rules.ports.includes(port)) throw refuse(`must use one of the ports ${rules.ports.join(', ')}, not ${port}`);
  const literal = literalOf(url);
  if (literal !== null && !isAddressAllowed(literal, rules.networks)) throw refuse('is not public');
  const name = url.hostname.replace(/\.$/, '').toLowerCase();
  if (literal === null && rules.networks.length === 0 && (privateName.test(name) || !name.includes('.'))) {
    throw refuse('is not public');
  }
  return url;
}
