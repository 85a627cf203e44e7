/**
 * The kinds of value a configuration file may hold. FirecREST's loader takes numbers and booleans written as text
 * (`"22"`, `yes`), so these do too; that also serves environment variables.
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { Secret } from '../secret.ts';
import { unknownKey } from './suggest.ts';

/** A mapping with just these keys. `open` says that unknown keys are reported as warnings and are no errors. */
export function section<Shape extends z.ZodRawShape>(shape: Shape, options: { open?: boolean } = {}) {
  const known = Object.keys(shape);
  const object = z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => unknownKey(key, known)).join('\n') : undefined,
  });
  return options.open ? object.meta({ open: true }) : object;
}

/** A text of at least one character. */
export function text() {
  return z.string().trim().min(1, 'must not be empty');
}

/** A whole number within bounds, both included. */
export function integer(min: number, max: number) {
  return z.preprocess(laxNumber, z.number().int().min(min).max(max));
}

/** TCP port; 0 where the operating system may choose. */
export function port(min: 0 | 1 = 1) {
  return integer(min, 65_535);
}

export function flag() {
  return z.preprocess(laxBoolean, z.boolean());
}

/** A list of texts; a single text stands for a list of one. */
export function textList() {
  return z.preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(text()).max(1_000));
}

/** Networks in CIDR notation. */
export function networks() {
  const network = text().refine(ipaddr.isValidCIDR, 'must be a network such as 10.0.0.0/8 or 2001:db8::/32');
  return z.preprocess((value) => (typeof value === 'string' ? [value] : value), z.array(network).max(100));
}

/** Addresses and networks as OpenSSH's `source-address` takes them, separated by commas: it refuses every login for a wrong one. */
export function addressList() {
  return text()
    .transform((list) => list.replaceAll(/\s+/g, ''))
    .refine(
      (list) => list.split(',').every(isSourceAddress),
      'must be addresses or networks separated by commas, such as 192.0.2.7,10.1.0.0/16, no bit set beyond the mask',
    );
}

function isSourceAddress(word: string): boolean {
  if (isIP(word) !== 0) return true;
  const [address = ''] = word.split('/');
  if (isIP(address) === 0 || !ipaddr.isValidCIDR(word)) return false;
  const family = isIP(address) === 4 ? ipaddr.IPv4 : ipaddr.IPv6;
  return family.networkAddressFromCIDR(word).toNormalizedString() === ipaddr.parse(address).toNormalizedString();
}

/** An http or https address, as written. */
export function webAddress() {
  return z.string().trim().refine(isWebAddress, 'must be an http:// or https:// address');
}

function isWebAddress(address: string): boolean {
  return /^https?:$/.test(URL.canParse(address) ? new URL(address).protocol : '');
}

const unitMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A duration with its unit (`500ms`, `5s`, `10m`, `2h`, `7d`), as milliseconds within bounds. */
export function duration(bounds: { minMs: number; maxMs: number }) {
  return z
    .string()
    .regex(/^\d{1,9}(ms|s|m|h|d)$/, 'must be a number and a unit: 500ms, 5s, 10m, 2h or 7d')
    .transform((written) => Number.parseInt(written, 10) * (unitMs[written.replace(/\d+/, '')] ?? Number.NaN))
    .refine((ms) => ms >= bounds.minMs && ms <= bounds.maxMs, {
      error: `must be from ${showMs(bounds.minMs)} to ${showMs(bounds.maxMs)}`,
    });
}

function showMs(ms: number): string {
  const unit = Object.keys(unitMs).findLast((name) => ms > 0 && ms % (unitMs[name] ?? 1) === 0) ?? 'ms';
  return `${ms / (unitMs[unit] ?? 1)}${unit}`;
}

const unitBytes: Record<string, number> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

/** A size with its unit (`256KiB`, `1GiB`), as bytes within bounds. */
export function size(bounds: { minBytes: number; maxBytes: number }) {
  return z
    .string()
    .regex(/^\d{1,9}(B|KiB|MiB|GiB|TiB)$/, 'must be a number and a unit: 512B, 256KiB, 8MiB or 1GiB')
    .transform((written) => Number.parseInt(written, 10) * (unitBytes[written.replace(/\d+/, '')] ?? Number.NaN))
    .refine((bytes) => bytes >= bounds.minBytes && bytes <= bounds.maxBytes, {
      error: `must be from ${bounds.minBytes}B to ${bounds.maxBytes}B`,
    });
}

/** A text that must not be printed, inline or as `secret_file:/path` (which was read before the schema saw it). */
export function secret() {
  return z
    .custom<string | Secret>(
      (value) => (typeof value === 'string' && value !== '') || value instanceof Secret,
      'must be a text that is not empty; put quotes around a number',
    )
    .transform((value) => (value instanceof Secret ? value : new Secret(value)))
    .meta({ secret: true });
}

function laxNumber(value: unknown): unknown {
  return typeof value === 'string' && /^\s*[-+]?\d{1,15}\s*$/.test(value) ? Number(value) : value;
}

const words: Record<string, boolean> = {
  true: true,
  yes: true,
  on: true,
  y: true,
  t: true,
  1: true,
  false: false,
  no: false,
  off: false,
  n: false,
  f: false,
  0: false,
};

function laxBoolean(value: unknown): unknown {
  if (typeof value !== 'string' && typeof value !== 'number') return value;
  const word = String(value).trim().toLowerCase();
  return Object.hasOwn(words, word) ? words[word] : value;
}
