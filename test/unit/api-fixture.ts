/** An application over a gate that lives in this process: tests of the HTTP side need no Redis. */
import { pino } from 'pino';
import { createApp } from '../../api/app.ts';
import type { AppDeps } from '../../api/http/app-env.ts';
import { createWorkerPort } from '../../api/http/worker-port.ts';
import type { AcceptRequest, TaskGate } from '../../api/tasks/task-gate.ts';
import { openAccess } from '../../shared/authorization/access-checker.ts';
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { S3Config } from '../../shared/platform/config/data-transfer.ts';
import { isTerminal } from '../../shared/tasks/states.ts';
import { type Principal, parseTask, principalKey, type Task } from '../../shared/tasks/task.ts';

export const nowMs = Date.parse('2026-01-02T03:04:05.250Z');

export const alice: Principal = { issuer: 'https://idp', subject: 's-alice', username: 'alice', client: null };
export const bob: Principal = { issuer: 'https://idp', subject: 's-bob', username: 'bob', client: null };

type Ending = Partial<Pick<Task, 'state' | 'result' | 'error'>>;

/** What was accepted, and a gate whose tasks end at once as `end` says (default: they stay pending). */
export function createLocalGate(end: (request: AcceptRequest) => Ending | Promise<Ending> = () => ({})) {
  const accepted: AcceptRequest[] = [];
  const tasks = new Map<string, Task>();
  const byKey = new Map<string, string>();
  const batches = new Map<string, string>();

  const newId = () => `01900000-0000-7000-8000-${String(tasks.size + 1).padStart(12, '0')}`;

  const accept = async (request: AcceptRequest): Promise<{ id: string; isReplay: boolean }> => {
    const key = request.idempotencyKey;
    const earlier = key === undefined ? undefined : byKey.get(key);
    if (earlier !== undefined) {
      request.onAccepted?.(newId(), nowMs + 60_000)?.({ earlierId: earlier });
      return { id: earlier, isReplay: true };
    }
    accepted.push(request);
    const id = newId();
    if (key !== undefined) byKey.set(key, id);
    const task = parseTask({
      id,
      operation: request.operation,
      system: request.system ?? '',
      queue: 'q',
      owner: principalKey(request.principal),
      principal: JSON.stringify(request.principal),
      input: JSON.stringify(request.input),
      state: 'pending',
      attempt: '0',
      fence: '0',
      createdAt: String(nowMs),
      deadlineAt: String(request.deadlineAt ?? nowMs + 60_000),
      timeline: `pending@${nowMs}@0`,
      requestId: request.requestId,
    });
    request.onAccepted?.(id, request.deadlineAt ?? nowMs + 60_000);
    tasks.set(id, { ...task, ...(await end(request)) });
    return { id, isReplay: false };
  };

  const get = async (id: string, principal: Principal): Promise<Task> => {
    const task = tasks.get(id);
    if (task?.owner !== principalKey(principal)) throw new BrokerError('TaskNotFound', 'Task not found.');
    return task;
  };

  const gate: TaskGate = {
    accept,
    get,
    find: async (id) => tasks.get(id) ?? null,
    beginBatch: async (_principal, key, fingerprint) => {
      const known = batches.get(key) ?? fingerprint;
      batches.set(key, known);
      if (known !== fingerprint) throw new BrokerError('IdempotencyMismatch');
    },
    async list(principal, { shownMax }) {
      const mine = [...tasks.values()].filter(({ owner }) => owner === principalKey(principal)).reverse();
      const last = mine[shownMax - 1];
      const next = last === undefined || mine.length === shownMax ? null : { createdAt: last.createdAt, id: last.id };
      return { tasks: mine.slice(0, shownMax), next };
    },
    rateOf: async () => null,
    countOpen: async (_principal, queues) => queues.map(() => tasks.size),
    wait: (id, principal) => get(id, principal),
    async acceptTransfer(request) {
      const { id } = await accept(request);
      return {
        ...{ isReplay: false, id, nextOffer: async () => null, cancel: async () => {}, release: () => {} },
        outcome: () => gate.acceptAndWait(request, new AbortController().signal),
      };
    },
    async acceptKeyedTransfer(request, signal) {
      const earlier = byKey.get(request.idempotencyKey ?? '');
      return earlier === undefined ? gate.acceptTransfer(request, signal) : { isReplay: true, id: earlier };
    },
    async acceptAndWait(request) {
      const { id, isReplay } = await accept(request);
      const task = await get(id, request.principal);
      return {
        id,
        isReplay,
        state: task.state,
        ...(task.state === 'completed' ? { resultJson: JSON.stringify(task.result) } : {}),
        ...(task.error === null ? {} : { error: task.error }),
      };
    },
    hurry: get,
    async cancel(id, principal) {
      const task = await get(id, principal);
      if (!isTerminal(task.state)) {
        tasks.set(id, task.state === 'pending' ? { ...task, state: 'canceled' } : { ...task, isCancelRequested: true });
      }
      return get(id, principal);
    },
  };
  return { gate, accepted, tasks };
}

/** Collects log lines. */
export function createLogSink() {
  const lines: string[] = [];
  return { lines, log: pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) }) };
}

/** Nothing happens here that is told without being asked. */
const noNotices: AppDeps['notices'] = {
  hub: { follow: async () => ({ replayed: Promise.resolve() }), size: () => 0, close: () => {} },
  events: { read: async () => [], lastId: async () => '0-0', isPast: async () => false },
  tickets: {
    issue: async () => ({ ticket: 't', expiresAt: nowMs }),
    redeem: async () => {
      throw new BrokerError('TokenInvalid', 'The ticket is not valid, or was used.');
    },
  },
  heartbeatMs: 15_000,
};

const noWatches: AppDeps['watches'] = { find: async () => null, list: async () => [], remove: async () => false };

/** The application with two systems, of which daint has a staging store; the token is the user's name. */
export function createTestApp(
  gate: TaskGate,
  overrides: Partial<AppDeps> = {},
  api: Partial<AppDeps['config']['api']> = {},
  /** One issuer for each. */
  dpop: AppDeps['config']['authentication']['issuers'][number]['dpop'][] = ['off'],
) {
  const fileSystems = [{ path: '/home', dataType: 'users' as const, defaultWorkDir: true }];
  const dataOperation = { maxOpsFileSizeBytes: 1_000, jobDirectives: [], dataTransfer: null };
  const system = {
    fileSystems,
    dataOperation,
    transfers: {
      mover: 'command' as const,
      bucketPrefix: '',
      directTo: [],
      node: null,
      unpackBytesMax: 2 ** 40,
      unpackEntriesMax: 1e7,
    },
  };
  return createApp({
    config: {
      logs: { streamsPerUserMax: 10, followMsMax: 60_000 },
      api: {
        publicUrl: null,
        rootPath: '',
        bodyBytesMax: 64 * 1024,
        holdMs: 1_000,
        docServers: null,
        trustedProxies: [],
        corsOrigins: [],
        ...api,
      },
      authentication: {
        issuers: dpop.map((mode) => ({
          ...{ issuer: 'https://idp', tokenUrl: 'https://idp/token', scopes: {}, requiredScopes: ['jobs'], dpop: mode },
        })),
      },
      systems: [
        { name: 'alps', ...system },
        { name: 'daint', ...system, dataOperation: { ...dataOperation, dataTransfer: { type: 's3' } as S3Config } },
      ],
      tasks: {
        ...{ openPerUserMax: 20_000, openPerQueueMax: 200_000, openPerSystemMax: 400_000 },
        ...{ keepMs: 3_600_000, resultBytesMax: 262_144, chainStepsMax: 4 },
      },
      consent: { task: 30 * 86_400_000, chain: 30 * 86_400_000, transfer: 30 * 86_400_000 },
      version: '0.1.0',
    },
    gate,
    jobNumbers: { taskOf: async () => null },
    stagings: new Map(),
    notices: noNotices,
    watches: noWatches,
    answers: null,
    webhooks: {
      store: {} as AppDeps['webhooks']['store'],
      sealer: null,
      targets: { allowHttp: false, ports: [443], networks: [] },
      endpointsPerUserMax: 20,
    },
    verifyToken: async (token) => {
      const principal = [alice, bob].find(({ username }) => username === token);
      if (principal === undefined) throw new BrokerError('TokenInvalid', 'Access token is invalid.');
      return principal;
    },
    ...openAccess,
    audit: {
      trail: { append: () => 0, requireWritable: () => {} },
      store: { readBack: async () => [], readOn: async () => [] },
      isAdministrator: async () => false,
    },
    requireHealthy: () => {},
    health: { read: async () => new Map(), history: async () => [] },
    workers: createWorkerPort(),
    readiness: async () => {},
    log: pino({ level: 'silent' }),
    now: () => nowMs,
    ...overrides,
  });
}

export const asAlice = { authorization: 'Bearer alice' };

export function jsonPost(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { ...asAlice, 'content-type': 'application/json', ...headers },
  };
}
