/** Reads a query string strictly: what cannot be decoded is refused, since a mangled path would name another file. */
import type { AppContext } from './app-env.ts';
import { invalidField } from './invalid-request.ts';

/** Longest query, in characters. A path of 4,095 bytes fits with every byte percent-encoded. */
const queryCharsMax = 64 * 1024;
const parametersMax = 200;

function decode(text: string, name: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw invalidField('query', name, 'is not valid percent-encoded UTF-8; a literal percent sign is written %25');
  }
}

/**
 * Name → value. Of a repeated name the last value counts (as upstream); an empty value counts as unset, which clients
 * send. Throws InvalidRequest.
 */
export function readQuery(c: AppContext): Map<string, string> {
  // A bare # would cut the query, and so name another file. (Node itself refuses bytes beyond ASCII.)
  if (c.req.url.includes('#')) throw invalidField('query', '', 'must not hold a bare #; write it %23');
  const values = new Map<string, string>();
  const start = c.req.url.indexOf('?');
  if (start === -1) return values;
  const query = c.req.url.slice(start + 1);
  if (query.length > queryCharsMax) throw invalidField('query', '', `must be at most ${queryCharsMax} characters long`);
  const pairs = query.split('&', parametersMax + 1);
  if (pairs.length > parametersMax) throw invalidField('query', '', `must hold at most ${parametersMax} parameters`);
  for (const pair of pairs) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode(equals === -1 ? pair : pair.slice(0, equals), 'name');
    const value = equals === -1 ? '' : decode(pair.slice(equals + 1), name);
    if (value === '') values.delete(name);
    else values.set(name, value);
  }
  return values;
}
