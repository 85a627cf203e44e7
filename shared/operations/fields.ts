/**
 * Input fields that many operations share, with FirecREST v2's leniency: numbers and booleans may come as text
 * (pydantic's lax mode), an empty text is an unset one where clients send it so.
 */
import { z } from 'zod';

/** Longest path in bytes, Linux's PATH_MAX less the terminating NUL. */
export const pathBytesMax = 4095;

const trueWords = new Set(['true', 't', 'yes', 'y', 'on', '1']);
const falseWords = new Set(['false', 'f', 'no', 'n', 'off', '0']);

/** `true`, `"true"`, `1`, `"yes"`, `"on"` … as true, their opposites as false, in any case. */
export const laxBoolean = z.preprocess((value) => {
  if (value === 1 || value === 0) return value === 1;
  if (typeof value !== 'string') return value;
  const word = value.toLowerCase();
  if (trueWords.has(word)) return true;
  if (falseWords.has(word)) return false;
  return value;
}, z.boolean('must be a boolean: true or false'));

/** An integer, also as text (`"10"`, `" 10 "`, `"10.0"`), as pydantic takes it. */
export const laxInteger = z.preprocess((value) => {
  if (typeof value !== 'string') return value;
  const digits = /^\s*([+-]?\d{1,16})(?:\.0*)?\s*$/.exec(value)?.[1];
  return digits === undefined ? value : Number(digits);
}, z.int('must be an integer'));

/** Whether a text holds a NUL, which no path, argument or environment can carry. */
export function hasNul(text: string): boolean {
  return text.includes('\0');
}

/** Whether a text holds a lone surrogate, which has no UTF-8 form: it would reach the cluster as another text. */
function isWellFormed(text: string): boolean {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}

/** Text that can travel to the cluster: no NUL, valid Unicode, at most `bytesMax` bytes in UTF-8. */
export function clusterText(bytesMax: number) {
  return z
    .string('must be a text')
    .refine((text) => !hasNul(text), 'must not contain a NUL character')
    .refine(isWellFormed, 'must be valid Unicode')
    .refine((text) => Buffer.byteLength(text) <= bytesMax, `must be at most ${bytesMax} bytes long`);
}

/** A path on the cluster. That it is absolute and in a file system of the system is checked by `admitPath`. */
export const remotePath = clusterText(pathBytesMax).refine((text) => text.length > 0, 'must not be empty');

/** One line of text where null and an empty text mean unset. */
export function optionalLine(bytesMax: number) {
  return z
    .preprocess(
      (value) => (value === '' ? null : value),
      clusterText(bytesMax)
        .refine((text) => !/[\n\r]/.test(text), 'must be one line')
        .nullable(),
    )
    .default(null);
}

/** A job id as any scheduler writes it: `123`, `123_4`, `123_[1-5%2]`, `123+1`, `123[].server`. */
export const jobId = z
  .string('must be a text')
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.+,:%[\]-]{0,127}$/, 'must be a job id such as 123 or 123_4');
