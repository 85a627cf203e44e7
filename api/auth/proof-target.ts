/**
 * The address that a DPoP proof must name (RFC 9449, section 4.3, `htu`): ours under the configured public address, as
 * clients call it. A request's Host header is never used: it is the caller's word.
 */
import { rawPathOf } from '../http/route-path.ts';

const unreserved = /^[A-Za-z0-9._~-]$/;

/** RFC 3986, section 6.2.2: what need not be encoded is not, and what is, in capitals. */
function normaliseEncoding(path: string): string {
  return path.replace(/%([0-9A-Fa-f]{2})/g, (encoded, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    return unreserved.test(character) ? character : encoded.toUpperCase();
  });
}

/** An http or https address without query and fragment, normalised (RFC 3986, 6.2.2 and 6.2.3); null where it is none. */
export function normaliseTarget(address: string): string | null {
  if (!URL.canParse(address)) return null;
  const { protocol, host, pathname, username, password } = new URL(address);
  if (!/^https?:$/.test(protocol) || username !== '' || password !== '') return null;
  return `${protocol}//${host}${normaliseEncoding(pathname)}`;
}

/** A function from a request's address, as it came through whatever stands before us, to the one a proof must name. */
export function createProofTarget(publicUrl: string, rootPath: string): (requestUrl: string) => string | null {
  return (requestUrl) => {
    const path = rawPathOf(requestUrl);
    const own = rootPath !== '' && path.startsWith(`${rootPath}/`) ? path.slice(rootPath.length) : path;
    return normaliseTarget(`${publicUrl}${own}`);
  };
}
