/** GET /events and GET /tasks/{id}/events: what happens to the caller's tasks, as server-sent events. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';
import { compareEventIds, type EventStore } from '../../../shared/platform/event-store.ts';
import { isEnding, type OwnerEvent, subjectOf, viewEvent } from '../../../shared/tasks/event.ts';
import { isTerminal } from '../../../shared/tasks/states.ts';
import { principalKey, type Task } from '../../../shared/tasks/task.ts';
import type { AppContext, AppDeps } from '../../http/app-env.ts';
import { type EventStream, eventText, openEventStream } from '../../http/event-stream.ts';
import { invalidField } from '../../http/invalid-request.ts';
import { jsonResponse } from '../../http/json-response.ts';
import { linkTo } from '../../http/links.ts';
import { readQuery } from '../../http/query.ts';
import { readTaskId } from '../tasks/read-task.ts';
import { tellProgress } from './tell-progress.ts';

type StreamDeps = Pick<AppDeps, 'config' | 'gate' | 'log' | 'notices'>;

/** How soon a client comes back that lost its stream. */
const retryMs = 2_000;
/** Longest life of a stream; its client comes back by itself, with a token that is still good. */
const streamMsMax = 3_600_000;
/** Clocks of the store and of this process differ by less. */
const clockSkewMs = 60_000;
/** Events of one read. */
const pageSize = 500;
const eventId = /^\d{1,16}-\d{1,16}$/;

/** Where a reconnecting client stopped: the header that browsers send, or the query parameter of one with a new ticket. */
function readLastId(c: AppContext): string | null {
  const header = c.req.header('last-event-id');
  const text = header === undefined || header === '' ? readQuery(c).get('last_event_id') : header;
  if (text === undefined) return null;
  if (eventId.test(text)) return text;
  throw invalidField('header', 'Last-Event-ID', 'must be the id of an event of this service');
}

/** Every event of the caller's tasks, from now on or after the last one that the client has. */
export function streamEvents(deps: StreamDeps): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const owner = principalKey(c.get('principal'));
    const lastId = readLastId(c);
    const stream = openStream(c, deps);
    if (lastId !== null && (await deps.notices.events.isPast(owner, lastId))) {
      stream.send(eventText({ type: 'stream.gap', data: JSON.stringify({ after: lastId }) }));
    }
    await follow(deps, stream, { owner, after: lastId, tell: (event) => tell(deps, stream, event) });
    return answer(c, stream);
  };
}

/** The events of one task, from its first one on; the stream ends with the task, and 204 says that nothing comes any more. */
export function streamTaskEvents(deps: StreamDeps): (c: AppContext) => Promise<Response> {
  return async (c) => {
    const id = readTaskId(c);
    const task = await deps.gate.get(id, c.get('principal'));
    const lastId = readLastId(c);
    // The store's clock makes the ids, this process or another one the time of the task: some seconds may lie between.
    const begin = `${Math.max(0, task.createdAt - clockSkewMs)}-0`;
    const after = lastId !== null && compareEventIds(lastId, begin) > 0 ? lastId : begin;
    const isOver = isTerminal(task.state);
    if (isOver && lastId !== null && !(await hasEventAfter(deps.notices.events, task, after)))
      return jsonResponse(c, 204, null);
    const stream = openStream(c, deps);
    const tellOfTask = (event: OwnerEvent): void => {
      if (subjectOf(event) !== id) return;
      tell(deps, stream, event);
      if (isEnding(event.type)) stream.end();
    };
    await follow(deps, stream, {
      ...{ owner: task.owner, after, tell: tellOfTask },
      // The end of a task that ended long ago may be kept no more.
      ...(isOver ? { onReplayed: stream.end } : {}),
    });
    tellProgress(deps, stream, task);
    return answer(c, stream);
  };
}

async function hasEventAfter(events: EventStore, { id, owner }: Task, after: string): Promise<boolean> {
  for (let from = after; ; ) {
    const page = await events.read(owner, from, pageSize);
    if (page.some((event) => subjectOf(event) === id)) return true;
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return false;
    from = last.id;
  }
}

function tell({ config }: StreamDeps, stream: EventStream, event: OwnerEvent): void {
  const data = JSON.stringify(viewEvent(event, linkTo(config.api, '')));
  stream.send(eventText({ id: event.id, type: event.type, data }));
}

/** A stream with its heartbeat, which ends with the token of its client. */
function openStream(c: AppContext, { notices: { heartbeatMs } }: StreamDeps): EventStream {
  const leftMs = (c.get('tokenEndsAt') ?? Number.POSITIVE_INFINITY) - Date.now();
  if (leftMs <= 0) throw new BrokerError('TokenExpired', 'Access token expired');
  const stream = openEventStream();
  const heartbeat = setInterval(() => stream.send(': still here\n\n'), heartbeatMs);
  const end = setTimeout(() => stream.end(), Math.min(streamMsMax, leftMs));
  stream.signal.addEventListener('abort', () => {
    clearInterval(heartbeat);
    clearTimeout(end);
  });
  stream.send(`retry: ${retryMs}\n\n`);
  return stream;
}

interface Following {
  owner: string;
  after: string | null;
  tell: (event: OwnerEvent) => void;
  /** Called when what is kept has been told. */
  onReplayed?: () => void;
}

/** Resolves when the stream is in place; what is kept is told at the pace of the client, so after the answer began. */
async function follow({ notices: { hub }, log }: StreamDeps, stream: EventStream, wish: Following): Promise<void> {
  const reader = { receive: wish.tell, hasRoom: stream.hasRoom, stop: stream.end };
  try {
    const { replayed } = await hub.follow(wish.owner, wish.after, reader, stream.signal);
    replayed.then(wish.onReplayed, (error: unknown) => {
      log.info({ err: error }, 'the events could not be read: the client is to come back');
      stream.end();
    });
  } catch (error) {
    stream.end();
    throw error;
  }
}

function answer(c: AppContext, stream: EventStream): Response {
  const headers = {
    ...c.get('takeHeaders')(),
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  };
  return new Response(stream.body, { status: 200, headers });
}
