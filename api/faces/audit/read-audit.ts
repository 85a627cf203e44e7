/** GET /audit: records of the audit trail, newest first, a page at a time; GET /audit/export: their lines, oldest first. */
import { z } from 'zod';
import { parseLine } from '../../../shared/audit/chain.ts';
import { type AuditRecord, auditKinds, auditRecord } from '../../../shared/audit/record.ts';
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import type { KeptLine } from '../../../shared/platform/audit-store.ts';
import { principalKey } from '../../../shared/tasks/task.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { nextCursor, nextPageHeaders, pageCursor, pageLimit, queryTime } from '../../http/page-query.ts';
import { readStrictQuery } from '../../http/strict-query.ts';

/** Records that are looked at for one page. */
const lookedMax = 2_000;
const readAtOnce = 200;

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
  since: queryTime.optional(),
  until: queryTime.optional(),
};

/** The query of GET /audit/export. */
export const exportQuery = z.object(filters);

/** The query of GET /audit. */
export const auditQuery = z.object({
  ...filters,
  limit: pageLimit.describe('Most records of the page'),
  cursor: pageCursor(/^\d{1,15}-\d{1,15}$/),
});

export const auditView = z.object({
  records: z.array(auditRecord.extend({ hash: z.string() })),
  next: nextCursor,
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
    return jsonResponse(c, 200, { records, next }, nextPageHeaders(deps, '/audit', query, next));
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
