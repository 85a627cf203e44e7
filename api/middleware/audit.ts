/**
 * One audit record for each request that is to change something, and for each that was refused for who asks. What is to
 * become a task is recorded with its accept, in one write; all else when the answer is known. Where the accept is refused
 * after that, for want of room or for coming too fast, or repeats an earlier one, or is not answered, a second record says so.
 */
import type { MiddlewareHandler } from 'hono';
import { type AuditFacts, actorOf } from '../../shared/audit/record.ts';
import type { AuditTrail } from '../../shared/audit/trail.ts';
import { type BrokerError, toBrokerError } from '../../shared/errors/broker-error.ts';
import { describeError } from '../../shared/errors/catalogue.ts';
import { findOperation } from '../../shared/operations/registry.ts';
import { traceIdIn } from '../../shared/tasks/trace-context.ts';
import type { AppContext, AppEnv, Wish, WishRecords } from '../http/app-env.ts';
import { operationOfRoute } from '../http/operation-of-route.ts';
import type { NotNew } from '../tasks/lost-accept.ts';

type RequestFacts = Pick<AuditFacts, 'action' | 'decision'> & Partial<AuditFacts>;

const readingMethods = new Set(['GET', 'HEAD', 'OPTIONS']);
/** RFC 9110's two for who asks. */
const refusals = new Set([401, 403]);
/** Of requests whose sender is not known, so many are recorded in a second, and the others counted: there may be any number. */
const unknownPerSecondMax = 100;

const noRecords: WishRecords = { allowed: () => () => {}, refused: () => {} };

/** A request that is to change something is refused while no record can be written: StoreUnavailable. */
export function audit(trail: Pick<AuditTrail, 'append' | 'requireWritable'>): MiddlewareHandler<AppEnv> {
  const admitUnknown = createUnknownLimit();
  return async (c, next) => {
    const isChange = !readingMethods.has(c.req.method);
    let isRecorded = false;
    const append = (facts: RequestFacts): void => {
      isRecorded = true;
      trail.append({ kind: 'request', ...originOf(c), ...facts });
    };
    c.set('record', isChange ? createWishRecords(append) : noRecords);
    if (isChange) trail.requireWritable();
    await next();
    const status = c.get('relayed')?.status ?? c.res.status;
    if (isRecorded || !(isChange || refusals.has(status))) return;
    const leftOut = c.get('principal') === undefined ? admitUnknown() : 0;
    if (leftOut === null) return;
    const error = c.error === undefined ? undefined : toBrokerError(c.error);
    const wish = c.get('wish') ?? wishOf(c);
    const why = error === undefined ? null : `${error.code}: ${error.message}`;
    append({
      ...{ ...wish, status, decision: decisionOf(status), why, task: c.get('taskId') ?? null },
      ...(leftOut > 0 ? { target: { ...wish.target, leftOut: String(leftOut) } } : {}),
    });
  };
}

function originOf(c: AppContext): Partial<AuditFacts> {
  const principal = c.get('principal');
  return {
    actor: principal === undefined ? null : actorOf(principal),
    address: c.get('address') ?? null,
    request: c.get('requestId'),
    trace: traceIdIn(c.req.header('traceparent')),
  };
}

function createWishRecords(append: (facts: RequestFacts) => void): WishRecords {
  return {
    allowed({ actions, ...asked }, { id, until }) {
      const relations = new Set((actions ?? [asked.action]).map((action) => findOperation(action)?.relation));
      const why = `may ${[...relations].join(', ')}, consents until ${new Date(until).toISOString()}`;
      append({ ...asked, decision: 'allowed', why, task: id });
      return (instead) => append({ ...asked, ...insteadOf(id, instead) });
    },
    refused: ({ actions: _, ...asked }, error) => append({ ...asked, ...refusalOf(error) }),
  };
}

/** What came of a request that was to become the task `id`. */
function insteadOf(id: string, instead: NotNew): Pick<AuditFacts, 'decision'> & Partial<AuditFacts> {
  if ('earlierId' in instead) {
    const why = `a repeat of an earlier request, which made this task; none was made as ${id}`;
    return { decision: 'allowed', why, task: instead.earlierId };
  }
  const refusal = refusalOf(toBrokerError(instead.error));
  return { ...refusal, ...(instead.mayBeKept ? { decision: 'unknown' } : {}), task: id };
}

function refusalOf(error: BrokerError): Pick<AuditFacts, 'decision'> & Partial<AuditFacts> {
  const { status } = describeError(error.code);
  return { decision: decisionOf(status), why: `${error.code}: ${error.message}`, status };
}

function decisionOf(status: number): string {
  if (refusals.has(status)) return 'denied';
  return status >= 400 ? 'refused' : 'allowed';
}

/** What the route says: the operation, or method and template, with what stands in the path. */
function wishOf(c: AppContext): Wish {
  const { method } = c.req;
  const route = c.get('route') ?? 'unmatched';
  const { system_name: system = null, ...target } = c.req.param() as Record<string, string>;
  return { action: operationOfRoute(method, route) ?? `${method} ${route}`, system, target };
}

/** How many were left out before this one; null: leave it out too. */
function createUnknownLimit(): () => number | null {
  let second = 0;
  let admitted = 0;
  let leftOut = 0;
  return () => {
    const now = Math.floor(performance.now() / 1_000);
    if (now !== second) {
      second = now;
      admitted = 0;
    }
    admitted += 1;
    if (admitted > unknownPerSecondMax) {
      leftOut += 1;
      return null;
    }
    const before = leftOut;
    leftOut = 0;
    return before;
  };
}
