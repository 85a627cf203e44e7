/** GET /tasks: the caller's tasks, newest first, a page at a time. A page is found by the owner's index, never by a scan. */
import { z } from 'zod';
import type { ListPlace, TaskFilter } from '../../../shared/platform/task-lists.ts';
import { type TaskState, taskStates } from '../../../shared/tasks/states.ts';
import { summarizeTask, taskSummaryView } from '../../../shared/tasks/task.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { nextCursor, nextPageHeaders, pageCursor, pageLimit, queryTime } from '../../http/page-query.ts';
import { readStrictQuery } from '../../http/strict-query.ts';
import { tag } from './submission.ts';

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
  since: queryTime.optional().describe('Accepted at that time or later'),
  until: queryTime.optional().describe('Accepted at that time or earlier'),
  limit: pageLimit.describe('Most tasks of the page'),
  cursor: pageCursor(/^\d{1,15}\.[0-9a-f-]{36}$/),
});

export const taskListView = z.object({
  tasks: z.array(taskSummaryView),
  next: nextCursor,
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

/** 200 with a page. InvalidRequest. */
export function listTasks(deps: Pick<AppDeps, 'config' | 'gate'>): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const query = readStrictQuery(c, listQuery);
    const { tasks, next } = await deps.gate.list(c.get('principal'), filterOf(query));
    const cursor = next === null ? null : `${next.createdAt}.${next.id}`;
    const headers = nextPageHeaders(deps, '/tasks', query, cursor);
    return jsonResponse(c, 200, { tasks: tasks.map(summarizeTask), next: cursor }, headers);
  };
}
