/** What the queries of lists have in common: times, the size of a page, and the address of the next one. */
import { z } from 'zod';
import type { AppDeps } from './app-env.ts';
import { linkTo } from './links.ts';

const pageDefault = 50;
const pageMax = 200;

/** A point in time, with its zone. */
export const queryTime = z.iso.datetime({
  offset: true,
  error: 'must be an RFC 3339 time with zone, e.g. 2026-01-31T12:00:00Z',
});

/** Most entries of a page. */
export const pageLimit = z.coerce
  .number(`must be a number from 1 to ${pageMax}`)
  .int(`must be a whole number from 1 to ${pageMax}`)
  .min(1, `must be a number from 1 to ${pageMax}`)
  .max(pageMax, `must be a number from 1 to ${pageMax}`)
  .default(pageDefault);

/** The cursor of a list, which answers it as `next`. */
export function pageCursor(pattern: RegExp) {
  return z
    .string()
    .regex(pattern, 'must be `next` of the page before')
    .optional()
    .describe('`next` of the page before');
}

/** `next` in the answer of a list. */
export const nextCursor = z
  .string()
  .nullable()
  .describe('Cursor of the next page; null where there is none. A page may be short before that.');

/** A Link header (RFC 8288) with the same query from the cursor on; empty on the last page. */
export function nextPageHeaders(
  { config }: Pick<AppDeps, 'config'>,
  path: string,
  query: Readonly<Record<string, unknown>>,
  cursor: string | null,
): Record<string, string> {
  if (cursor === null) return {};
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, cursor })) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return { link: `<${linkTo(config.api, path)}?${parameters.toString()}>; rel="next"` };
}
