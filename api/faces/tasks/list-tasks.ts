/** GET /tasks: the caller's tasks, newest first, a page at a time. A page is found by the owner's index, never by a scan. */
import { z } from 'zod';
import type { ListPlace, TaskFilter } from '../../../shared/platform/task-lists.ts';
import { type TaskState, taskStates } from '../../../shared/tasks/states.ts';
import { summarizeTask, taskSummaryView } from '../../../shared/tasks/task.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { linkTo } from '../../http/links.ts';
import { readStrictQuery } from '../../http/strict-query.ts';
import { tag } from './submission.ts';

const pageDefault = 50;
const pageMax = 200;

const time = z.iso.datetime({ offset: true, error: 'must be an RFC 3339 time with zone, e.g. 2026-01-31T12:00:00Z' });

const isState = (name: string): name is TaskState => (taskStates as readonly string[]).includes(name);

/** The query of GET /tasks. */
export const listQuery = z.object({
  state: z
    .string()
    .refine((text) => text.split(',').every(isState), `must be one or several of ${taskStates.join(', ')}, by commas`)
    .optional()
    .describe('One state, or several joined by commas'),
  operation: z.string().max(100, 'must be at most 100 characters long').optional(),
  system: z.string().max(255, 'must be at most 255 characters long').optional(),
  tag: tag.optional(),
  since: time.optional().describe('Accepted at that time or later'),
  until: time.optional().describe('Accepted at that time or earlier'),
  limit: z.coerce
    .number(`must be a number from 1 to ${pageMax}`)
    .int(`must be a whole number from 1 to ${pageMax}`)
    .min(1, `must be a number from 1 to ${pageMax}`)
    .max(pageMax, `must be a number from 1 to ${pageMax}`)
    .default(pageDefault)
    .describe('Most tasks of the page'),
  cursor: z
    .string()
    .regex(/^\d{1,15}\.[0-9a-f-]{36}$/, 'must be `next` of the page before')
    .optional()
    .describe('`next` of the page before'),
});

export const taskListView = z.object({
  tasks: z.array(taskSummaryView),
  next: z
    .string()
    .nullable()
    .describe('Cursor of the next page; null where there is none. A page may be short before that.'),
});

type Query = z.infer<typeof listQuery>;

function placeOf(cursor: string | undefined): ListPlace | null {
  if (cursor === undefined) return null;
  const [createdAt = '', id = ''] = cursor.split('.');
  return { createdAt: Number(createdAt), id };
}

function filterOf(query: Query): TaskFilter {
  return {
    after: placeOf(query.cursor),
    sinceMs: query.since === undefined ? 0 : Date.parse(query.since),
    untilMs: query.until === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(query.until),
    states: query.state === undefined ? [] : query.state.split(',').filter(isState),
    operation: query.operation ?? '',
    system: query.system?.toLowerCase() ?? '',
    tag: query.tag ?? '',
    shownMax: query.limit,
  };
}

/** The same query, from the cursor on (RFC 8288). */
function nextLink(deps: Pick<AppDeps, 'config'>, query: Query, cursor: string): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...query, cursor })) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return `<${linkTo(deps.config.api, '/tasks')}?${parameters.toString()}>; rel="next"`;
}

/** 200 with a page. InvalidRequest. */
export function listTasks(deps: Pick<AppDeps, 'config' | 'gate'>): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const query = readStrictQuery(c, listQuery);
    const { tasks, next } = await deps.gate.list(c.get('principal'), filterOf(query));
    const cursor = next === null ? null : `${next.createdAt}.${next.id}`;
    const headers: Record<string, string> = cursor === null ? {} : { link: nextLink(deps, query, cursor) };
    return jsonResponse(c, 200, { tasks: tasks.map(summarizeTask), next: cursor }, headers);
  };
}
