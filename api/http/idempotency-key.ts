/** The Idempotency-Key header (IETF httpapi draft) and the fingerprint that tells a repeat from another request. */
import { hash } from 'node:crypto';
import { invalidField } from './invalid-request.ts';

/** Longest key, characters. */
const keyCharsMax = 255;
/** A structured-field string (RFC 8941, section 3.3.3): printable ASCII with `\"` and `\\`. */
const quoted = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
const bare = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x7e]+$/;

/** The key, or undefined when none was sent. A quoted and a bare key of the same characters are the same key. Throws InvalidRequest. */
export function readIdempotencyKey(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const text = header.trim();
  const key = quoted.exec(text)?.[1]?.replace(/\\(["\\])/g, '$1') ?? (bare.test(text) ? text : '');
  if (key === '' || key.length > keyCharsMax) {
    throw invalidField(
      'header',
      'Idempotency-Key',
      `must be a quoted string of 1 to ${keyCharsMax} printable characters`,
    );
  }
  return key;
}

/** JSON with sorted keys: the same for two spellings of the same value. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member !== 'object' || member === null || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}

/**
 * SHA-256, hex, of what a request asks for. The face is left out, so that both faces share a key's meaning; `options` that
 * are undefined are as none. The deadline is no part of it: a client that repeats may well count it from now.
 */
export function fingerprintOf(
  operation: string,
  system: string | null,
  input: unknown,
  options: Record<string, unknown> = {},
): string {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const asked = [operation, system, input, ...(Object.keys(given).length === 0 ? [] : [given])];
  return hash('sha256', canonicalJson(asked), 'hex');
}

/** SHA-256, hex, of a whole batch as it was sent. */
export function batchFingerprint(tasks: readonly unknown[]): string {
  return hash('sha256', canonicalJson(['batch', tasks]), 'hex');
}
