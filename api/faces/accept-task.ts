/** What both faces do with a request once its input is known: system, permission, validation, and the request to the gate. */
import { targetOf } from '../../shared/audit/target.ts';
import { BrokerError, type FieldProblem } from '../../shared/errors/broker-error.ts';
import type { Operation } from '../../shared/operations/operation.ts';
import { admitPaths } from '../../shared/operations/paths.ts';
import { findOperation, type OperationName } from '../../shared/operations/registry.ts';
import type { Principal } from '../../shared/tasks/task.ts';
import { traceparentIn } from '../../shared/tasks/trace-context.ts';
import type { AppContext, AppDeps, SystemEntry, Wish } from '../http/app-env.ts';
import { fingerprintOf, readIdempotencyKey } from '../http/idempotency-key.ts';
import { invalidRequest, problemsOf } from '../http/invalid-request.ts';
import type { WishedChain } from '../tasks/place-chain.ts';
import type { AcceptRequest } from '../tasks/task-gate.ts';

/** System name → system. */
export type SystemsByName = ReadonlyMap<string, SystemEntry>;

/** Names are case-insensitive. Throws SystemNotFound. */
export function findSystem(systems: SystemsByName, name: string): SystemEntry {
  const system = systems.get(name.toLowerCase());
  if (system === undefined) throw new BrokerError('SystemNotFound', 'System not found');
  return system;
}

/** The input as the operation's schema makes it, its paths admitted and its secrets sealed. Throws InvalidRequest, PathNotAbsolute, PathNotAllowed. */
export function admitInput(
  operation: Operation,
  input: Record<string, unknown>,
  system: SystemEntry | null,
  locate: (field: string) => Pick<FieldProblem, 'location' | 'name'>,
): Record<string, unknown> {
  const parsed = operation.input.safeParse(input);
  if (!parsed.success) throw invalidRequest(problemsOf(parsed.error.issues, input, locate));
  const value = parsed.data as Record<string, unknown>;
  if (system === null) return value;
  const roots = system.fileSystems.map((fileSystem) => fileSystem.path);
  const admitted = admitPaths(operation, value, { systemName: system.name, roots });
  operation.admit?.(admitted, system);
  return operation.conceal?.(admitted, system) ?? admitted;
}

/**
 * The input with its paths on the other system admitted, where the operation acts on one, for a caller who may do there
 * what the operation does. Throws SystemNotFound, Forbidden, AuthorizationUnavailable, PathNotAllowed, ServiceUnhealthy.
 */
export async function admitPeer(
  { principal, address }: Caller,
  {
    systems,
    checkAccess,
    requireHealthy,
  }: Pick<AppDeps, 'checkAccess' | 'requireHealthy'> & { systems: SystemsByName },
  { peer, relation, requires }: Operation,
  input: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  if (peer === undefined) return input;
  const system = findSystem(systems, String(input[peer.systemField]));
  await checkAccess(principal, relation, system.name, address);
  const roots = system.fileSystems.map((fileSystem) => fileSystem.path);
  const admitted = admitPaths(peer, input, { systemName: system.name, roots });
  requireHealthy({ requires, paths: peer.paths }, system, admitted);
  return { ...admitted, [peer.systemField]: system.name };
}

/** Who asks, and from where. */
export interface Caller {
  principal: Principal;
  /** Undefined where it is not known. */
  address: string | undefined;
}

export function callerOf(c: AppContext): Caller {
  return { principal: c.get('principal'), address: c.get('address') };
}

/**
 * The input, with the systems that it asks about narrowed to those the caller may see, where the operation is about
 * several. Throws AuthorizationUnavailable.
 */
export async function narrowToVisible(
  { principal, address }: Caller,
  { findVisible }: Pick<AppDeps, 'findVisible'>,
  { systemsField }: Operation,
  input: Record<string, unknown>,
): Promise<Record<string, unknown>> {
  if (systemsField === undefined) return input;
  const visible = await findVisible(principal, address);
  if (visible === null) return input;
  const wished = (input[systemsField] as string | undefined)?.toLowerCase().split(',');
  const names = [...visible].filter((name) => wished === undefined || wished.includes(name));
  return { ...input, [systemsField]: names.join() };
}

/** What each step of a chain does, where, and what that is about. */
function targetOfChain({ steps }: WishedChain): Record<string, string> {
  const entries = steps.flatMap(({ name, operation, system, input }, n) => {
    const found = findOperation(operation);
    const about = found === undefined ? {} : targetOf(found, input as Record<string, unknown>);
    const where = system === null ? '' : ` on ${system}`;
    return [
      [`/steps/${n}`, `${name}: ${operation}${where}`],
      ...Object.entries(about).map(([field, value]) => [`/steps/${n}/${field}`, value]),
    ];
  });
  return Object.fromEntries(entries);
}

/** What the audit record of an accepted task says of it; of a chain its first operation, and every one. */
function wishOf({ operation, system, input, chain }: TaskWish): Wish {
  const action = operation.name;
  if (chain === undefined) return { action, system, target: targetOf(operation, input) };
  return { action, system, target: targetOfChain(chain), actions: chain.steps.map((step) => step.operation) };
}

/** What an operation asks the caller to be allowed besides. Throws Forbidden, AuthorizationUnavailable. */
export async function checkAlso(
  { checkAccess }: Pick<AppDeps, 'checkAccess'>,
  { principal, address }: Caller,
  { alsoRelation }: Operation,
  input: Record<string, unknown>,
  system: SystemEntry | null,
): Promise<void> {
  const relation = alsoRelation?.(input) ?? null;
  if (relation !== null) await checkAccess(principal, relation, system?.name ?? null, address);
}

export interface TaskWish {
  operation: Operation;
  system: string | null;
  input: Record<string, unknown>;
  isHeld: boolean;
  holdMs: number;
  heldFor?: 'end' | 'prepared';
  deadlineAt?: number;
  startAt?: number;
  priority?: number;
  tags?: readonly string[];
  /** JSON of an address to tell of the end, with the sealed secret to sign with. */
  webhook?: string;
  chain?: WishedChain;
  retryOf?: string;
  /** Whether an Idempotency-Key counts although nothing is changed and the route is no POST: on the native face it does. */
  isKeyed?: boolean;
  /** In the place of the header's: of one task of a batch. */
  idempotency?: { key: string; fingerprint: string };
}

function idempotencyOf(c: AppContext, wish: TaskWish): { key: string; fingerprint: string } | undefined {
  const { operation, system, input, isKeyed = false, tags, priority, startAt, chain, retryOf } = wish;
  if (wish.idempotency !== undefined) return wish.idempotency;
  if (!isKeyed && !operation.mutates && operation.firecrest.method !== 'POST') return undefined;
  const key = readIdempotencyKey(c.req.header('idempotency-key'));
  if (key === undefined) return undefined;
  return {
    key,
    fingerprint: fingerprintOf(operation.name, system, input, { tags, priority, startAt, chain, retryOf }),
  };
}

/** The gate's request. The Idempotency-Key counts on every POST, and where something is changed; another read needs none. */
export function acceptRequestOf(c: AppContext, wish: TaskWish): AcceptRequest {
  const { operation, system, input } = wish;
  const { principal, address } = callerOf(c);
  const idempotency = idempotencyOf(c, wish);
  const traceparent = traceparentIn(c.req.header('traceparent'));
  return {
    operation: operation.name as OperationName,
    system,
    principal,
    token: c.get('token'),
    ...(address === undefined ? {} : { address }),
    input,
    isHeld: wish.isHeld,
    holdMs: wish.holdMs,
    ...(wish.heldFor === undefined ? {} : { heldFor: wish.heldFor }),
    requestId: c.get('requestId'),
    ...(traceparent === undefined ? {} : { traceparent }),
    onRate: (rate) => c.set('rate', rate),
    onAccepted: (id, until) => c.get('record').allowed(wishOf(wish), { id, until }),
    ...(wish.deadlineAt === undefined ? {} : { deadlineAt: wish.deadlineAt }),
    ...(wish.startAt === undefined ? {} : { startAt: wish.startAt }),
    ...(wish.priority === undefined ? {} : { priority: wish.priority }),
    ...(wish.tags === undefined ? {} : { tags: wish.tags }),
    ...(wish.webhook === undefined ? {} : { webhook: wish.webhook }),
    ...(wish.chain === undefined ? {} : { chain: wish.chain }),
    ...(wish.retryOf === undefined ? {} : { retryOf: wish.retryOf }),
    ...(idempotency === undefined ? {} : { idempotencyKey: idempotency.key, fingerprint: idempotency.fingerprint }),
  };
}

/** Says whether a repeated key found its earlier task; empty where no key was sent. */
export function replayHeaders(request: AcceptRequest, isReplay: boolean): Record<string, string> {
  return request.idempotencyKey === undefined ? {} : { 'idempotency-key-reply': isReplay ? 'hit' : 'miss' };
}
