/** What a request carries through the middleware and what the application is built from. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from 'hono';
import type { Logger } from 'pino';
import type { AuditTrail } from '../../shared/audit/trail.ts';
import type { AccessChecker, OthersChecker, SystemsFinder } from '../../shared/authorization/access-checker.ts';
import type { BrokerError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import type { AuditStore } from '../../shared/platform/audit-store.ts';
import type { ApiConfig, IssuerConfig, SystemConfig } from '../../shared/platform/config/config.ts';
import type { LogsConfig } from '../../shared/platform/config/job-notices.ts';
import type { TasksConfig } from '../../shared/platform/config/tasks.ts';
import type { EventStore } from '../../shared/platform/event-store.ts';
import type { JobNumbers } from '../../shared/platform/job-numbers.ts';
import type { KeptAnswers } from '../../shared/platform/kept-answers.ts';
import type { Meter } from '../../shared/platform/metrics/meter.ts';
import type { Sealer } from '../../shared/platform/sealing.ts';
import type { RateState } from '../../shared/platform/user-rate.ts';
import type { WatchStore } from '../../shared/platform/watch-store.ts';
import type { WebhookStore } from '../../shared/platform/webhook-store.ts';
import type { Staging } from '../../shared/staging/staging.ts';
import type { ConsentLives } from '../../shared/tasks/consent.ts';
import type { Principal } from '../../shared/tasks/task.ts';
import type { TargetRules } from '../../shared/webhooks/target-rules.ts';
import type { TokenVerifier } from '../auth/token-verifier.ts';
import type { EventHub } from '../events/event-hub.ts';
import type { EventTickets } from '../events/event-tickets.ts';
import type { HealthReader } from '../faces/health/read-health.ts';
import type { RequireHealthy } from '../health/require-healthy.ts';
import type { NotNew } from '../tasks/lost-accept.ts';
import type { TaskGate } from '../tasks/task-gate.ts';
import type { Challenge } from './challenge.ts';
import type { WorkerPort } from './worker-port.ts';

/** Hono's types of one request. */
export interface AppEnv {
  /** The request and the answer as Node has them, for bodies that are streamed. */
  Bindings: { incoming: IncomingMessage; outgoing: ServerResponse };
  Variables: {
    requestId: string;
    correlationId: string;
    /** The headers every answer carries, for the one who makes the answer. */
    takeHeaders: () => Record<string, string>;
    /** Template of the matched route, for the log. */
    route: string;
    /** Headers an error answer carries too, e.g. whether an idempotency key was known. */
    replyHeaders: Record<string, string>;
    /** What a refused client is told about the tokens that are taken. */
    challenge: Challenge;
    /** A nonce for the next DPoP proof, which the answer carries. */
    proofNonce: string;
    /** Set once the request is authenticated. */
    principal: Principal;
    /** What it was authenticated with; for the task's own use, never to be shown. */
    token: string;
    /** Where the request comes from; undefined where that is not known. */
    address: string | undefined;
    /** When the token ends that the request came with, in milliseconds since the epoch; set where a stream needs it. */
    tokenEndsAt: number;
    /** How an answer went that was streamed past the application, for the log. */
    relayed: { status: number; brokenOffBy?: string };
    /** Of an answer that is an error: its code. */
    problem: ErrorCode;
    /** What the caller may still submit, once the request took from it. */
    rate: RateState;
    /** Set once the request has become a task, for the log. */
    taskId: string;
    /** Writes audit records of what this request asked for, where that is to be recorded. */
    record: WishRecords;
    /** What the request is about where its route does not say, for its audit record. */
    wish: Wish;
  };
}

export type AppContext = Context<AppEnv>;

/** What was asked for. */
export interface Wish {
  action: string;
  system: string | null;
  target: Record<string, string>;
  /** Of several operations in one request: all of them. */
  actions?: readonly string[];
}

export interface WishRecords {
  /** It is to become this task. What it returns records what came of it instead. */
  allowed(wish: Wish, task: { id: string; until: number }): (instead: NotNew) => void;
  /** It becomes no task, and none was named for it. */
  refused(wish: Wish, error: BrokerError): void;
}

/** The part of a system's configuration the HTTP side uses. */
export type SystemEntry = Pick<SystemConfig, 'name' | 'fileSystems' | 'dataOperation' | 'transfers'>;

/** The part of the configuration the HTTP side uses. */
export interface AppConfig {
  api: Pick<
    ApiConfig,
    'publicUrl' | 'rootPath' | 'bodyBytesMax' | 'holdMs' | 'docServers' | 'trustedProxies' | 'corsOrigins'
  >;
  authentication: {
    issuers: readonly Pick<IssuerConfig, 'issuer' | 'tokenUrl' | 'scopes' | 'requiredScopes' | 'dpop'>[];
  };
  systems: readonly SystemEntry[];
  logs: Pick<LogsConfig, 'streamsPerUserMax' | 'followMsMax'>;
  tasks: Pick<
    TasksConfig,
    'openPerUserMax' | 'openPerQueueMax' | 'openPerSystemMax' | 'keepMs' | 'resultBytesMax' | 'chainStepsMax'
  >;
  consent: ConsentLives;
  /** Version of this software. */
  version: string;
}

/** What tells clients of their tasks without being asked. */
export interface Notices {
  hub: EventHub;
  events: EventStore;
  tickets: EventTickets;
  /** Between two signs of life of a stream. */
  heartbeatMs: number;
}

/** Where webhooks are kept, and what they may be. */
export interface WebhookDeps {
  store: WebhookStore;
  /** Null: there is no key, and so there are no webhooks. */
  sealer: Sealer | null;
  targets: TargetRules;
  endpointsPerUserMax: number;
}

export interface AuditDeps {
  trail: Pick<AuditTrail, 'append' | 'requireWritable'>;
  store: Pick<AuditStore, 'readBack' | 'readOn'>;
  /** Whether the caller may read the records of all. Throws AuthorizationUnavailable. */
  isAdministrator: (principal: Principal, address: string | undefined) => Promise<boolean>;
}

export interface AppDeps {
  config: AppConfig;
  audit: AuditDeps;
  gate: TaskGate;
  jobNumbers: Pick<JobNumbers, 'taskOf'>;
  /** Staging store by system name, for systems that have one. */
  stagings: ReadonlyMap<string, Pick<Staging, 'signParts' | 'signPartsList' | 'signCompletion' | 'signDownload'>>;
  notices: Notices;
  watches: Pick<WatchStore, 'find' | 'list' | 'remove'>;
  webhooks: WebhookDeps;
  /** Of requests that make no task; null: there is no key to seal them with. */
  answers: KeptAnswers | null;
  verifyToken: TokenVerifier;
  checkAccess: AccessChecker;
  findVisible: SystemsFinder;
  mayOnOthers: OthersChecker;
  requireHealthy: RequireHealthy;
  health: HealthReader;
  /** Where the bytes are that do not pass through Redis. */
  workers: WorkerPort;
  /** Rejects while the service cannot take requests, e.g. because Redis does not answer. */
  readiness: () => Promise<void>;
  /** What is counted here; left out: nothing. */
  meter?: Meter;
  log: Logger;
  /** Milliseconds since the epoch. */
  now?: () => number;
}
