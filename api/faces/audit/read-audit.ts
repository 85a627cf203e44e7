/** GET /audit: records of the audit trail, newest first, a page at a time; GET /audit/export: their lines, oldest first. */
import { z } from 'zod';
import { parseLine } from '../../../shared/audit/chain.ts';
import { type AuditRecord, auditKinds, auditRecord } from '../../../shared/audit/record.ts';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { KeptLine } from '../../../shared/platform/audit-store.ts';
import { principalKey } from '../../../shared/tasks/task.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { linkTo } from '../../http/links.ts';
import { readStrictQuery } from '../../http/strict-query.ts';

const pageDefault = 50;
const pageMax = 200;
/** Records that are looked at for one page. */
const lookedMax = 2_000;
const readAtOnce = 200;

const time = z.iso.datetime({ offset: true, error: 'must be an RFC 3339 time with zone, e.g. 2026-01-31T12:00:00Z' });
const text = (charsMax: number) => z.string().max(charsMax, `must be at most ${charsMax} characters long`);

const filters = {
  scope: z
    .enum(['mine', 'all'], 'must be mine or all')
    .default('mine')
    .describe('`all`: the records of everybody, for administrators'),
  kind: z.enum(auditKinds, `must be one of ${auditKinds.join(', ')}`).optional(),
  action: text(200).optional().describe('Name of an operation, or method and route'),
  system: text(255).optional(),
  task: text(64).optional().describe('Id of a task: the request that made it, its commands, its end'),
  user: text(64).optional().describe('Username of who asked'),
  since: time.optional(),
  until: time.optional(),
};

/** The query of GET /audit/export. */
export const exportQuery = z.object(filters);

/** The query of GET /audit. */
export const auditQuery = z.object({
  ...filters,
  limit: z.coerce
    .number(`must be a number from 1 to ${pageMax}`)
    .int(`must be a whole number from 1 to ${pageMax}`)
    .min(1, `must be a number from 1 to ${pageMax}`)
    .max(pageMax, `must be a number from 1 to ${pageMax}`)
    .default(pageDefault)
    .describe('Most records of the page'),
  cursor: z
    .string()
    .regex(/^\d{1,15}-\d{1,15}$/, 'must be `next` of the page before')
    .optional()
    .describe('`next` of the page before'),
});

export const auditView = z.object({
  records: z.array(auditRecord.extend({ hash: z.string() })),
  next: z
    .string()
    .nullable()
    .describe('Cursor of the next page; null where there is none. A page may be short before that.'),
});

type Filter = z.infer<typeof exportQuery>;
type Deps = Pick<AppDeps, 'audit' | 'config'>;
type Handle = (c: AppContext) => Promise<Response>;

/** Whose records are read; null: those of all. Throws Forbidden, AuthorizationUnavailable. */
async function ownerFor(c: AppContext, { audit }: Deps, { scope }: Filter): Promise<string | null> {
  const principal = c.get('principal');
  if (scope === 'mine') return principalKey(principal);
  if (await audit.isAdministrator(principal, c.get('address'))) return null;
  throw new BrokerError('Forbidden', 'Only administrators may read the records of everybody.');
}

function isWanted(record: AuditRecord, { kind, action, system, task, user, since, until }: Filter): boolean {
  const { actor } = record;
  const at = Date.parse(record.time);
  return (
    (kind === undefined || kind === record.kind) &&
    (action === undefined || action === record.action) &&
    (system === undefined || system.toLowerCase() === record.system?.toLowerCase()) &&
    (task === undefined || task === record.task) &&
    (user === undefined || user === actor?.username) &&
    (since === undefined || at >= Date.parse(since)) &&
    (until === undefined || at <= Date.parse(until))
  );
}

/** A record is written down a little after its time, never before; a minute is long for that. */
const writtenLateMs = 60_000;

/** 200 with a page. InvalidRequest, Forbidden. */
export function listAudit(deps: Deps): Handle {
  return async (c) => {
    const query = readStrictQuery(c, auditQuery);
    const owner = await ownerFor(c, deps, query);
    const untilMs = query.until === undefined ? undefined : Date.parse(query.until) + writtenLateMs;
    let place: string | null = query.cursor ?? (untilMs === undefined ? null : `${untilMs}-0`);
    const records: z.infer<typeof auditView>['records'] = [];
    let next: string | null = null;
    for (let looked = 0; ; ) {
      const lines: KeptLine[] = await deps.audit.store.readBack(owner, place, readAtOnce);
      const isPast = lines.some((line) => isBefore(line, query.since));
      const taken = take(lines, query, query.limit - records.length);
      records.push(...taken.records);
      looked += lines.length;
      place = taken.last ?? place;
      if (records.length >= query.limit || looked >= lookedMax) next = isPast ? null : place;
      if (next !== null || isPast || lines.length === 0) break;
    }
    const link: Record<string, string> = next === null ? {} : { link: nextLink(deps, query, next) };
    return jsonResponse(c, 200, { records, next }, link);
  };
}

/** The wanted ones of the lines, up to a number; `last` is the place of the last line that was looked at. */
function take(lines: readonly KeptLine[], query: Filter, most: number) {
  const records: z.infer<typeof auditView>['records'] = [];
  let last: string | null = null;
  for (const line of lines) {
    if (records.length >= most) break;
    last = line.id;
    const record = parseLine(line.text);
    if (isWanted(record, query)) records.push(record);
  }
  return { records, last };
}

function isBefore({ id }: KeptLine, since: string | undefined): boolean {
  return since !== undefined && Number(id.split('-')[0]) < Date.parse(since);
}

function nextLink({ config }: Deps, query: Record<string, unknown>, cursor: string): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, cursor })) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return `<${linkTo(config.api, '/audit')}?${parameters.toString()}>; rel="next"`;
}

/** 200 with a line for each record, as it was written. InvalidRequest, Forbidden. */
export function exportAudit(deps: Deps): Handle {
  return async (c) => {
    const query = readStrictQuery(c, exportQuery);
    const owner = await ownerFor(c, deps, query);
    let after = query.since === undefined ? '0-0' : `${Math.max(0, Date.parse(query.since) - 1)}-0`;
    const untilMs = query.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(query.until) + writtenLateMs;
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        for (;;) {
          const lines = await deps.audit.store.readOn(owner, after, readAtOnce);
          after = lines.at(-1)?.id ?? after;
          const wanted = lines.filter(({ text: line }) => isWanted(parseLine(line), query));
          if (wanted.length > 0)
            controller.enqueue(encoder.encode(wanted.map(({ text: line }) => `${line}\n`).join('')));
          if (lines.length === 0 || Number(after.split('-')[0]) > untilMs) return controller.close();
          if (wanted.length > 0) return;
        }
      },
    });
    const headers = {
      'content-type': 'application/x-ndjson',
      'content-disposition': 'attachment; filename="audit.jsonl"',
    };
    return new Response(body, { status: 200, headers: { ...c.get('takeHeaders')(), ...headers } });
  };
}
