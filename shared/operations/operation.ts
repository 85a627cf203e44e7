/**
 * What an operation is: one contract that the API's routes, the workers' handlers, the OpenAPI document and the tests
 * all derive from. Wire names follow FirecREST v2.
 */
import type { z } from 'zod';
import type { ErrorCode } from '../errors/catalogue.ts';
import type { SystemConfig } from '../platform/config/config.ts';
import type { Lane } from './lanes.ts';

/** What the caller must be allowed to do on the system. */
export type Relation = 'view_status' | 'read_files' | 'write_files' | 'submit' | 'cancel' | 'transfer' | 'administer';

/** What must be healthy on the system for the operation to make sense. */
export type Requirement = 'ssh' | 'scheduler' | 'filesystem' | 'storage';

/**
 * What to do with a task whose worker died while it was active. `rerun`: safe to do again. `verify`: the handler looks
 * whether the effect is there and then decides. `unknown`: end as `OutcomeUnknown`, never as a false failure.
 */
export type Recovery = 'rerun' | 'verify' | 'unknown';

/** The route of an operation on FirecREST v2's face. */
export interface FirecrestRoute<Result> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Template with `{system_name}` and, where it has one, `{job_id}`. */
  path: string;
  /** Status of success; 204 answers without a body. */
  status: 200 | 201 | 204;
  /** Path parameter → input field. */
  params?: Readonly<Record<string, string>>;
  /** Request header → input field. */
  headers?: Readonly<Record<string, string>>;
  /** The body of the answer. */
  answer: (result: Result) => unknown;
  /** Headers that the result makes. */
  resultHeaders?: (result: Result) => Readonly<Record<string, string>>;
  /** A route of our own in FirecREST v2's manner, which upstream does not have. */
  isAddition?: true;
  /**
   * Of an operation that clients know as a job: it is answered before its end, and `answer` is not asked.
   */
  job?: JobFace<Result>;
}

/**
 * An input field that holds a path on the cluster. A plain name: what the path leads to is what counts. With
 * `isLinkUnless` the path may name a link itself, which is not followed unless one of the inputs listed is set.
 */
export type PathField = string | { readonly field: string; readonly isLinkUnless: readonly string[] };

/**
 * When the cluster is asked whether the paths really lie in a file system of the system. `before`: before the handler
 * runs. `with-files`, `with-stats`: along with the handler's own first request on that channel, which costs no round
 * trip; what the handler answers is withheld till then, and neither a command of its own nor bytes to a client go out
 * before. Only for a read.
 */
export type Admission = 'before' | 'with-files' | 'with-stats';

/** How work that goes on for long looks to FirecREST's clients. */
export interface JobFace<Result> {
  /** The job's name. */
  name: string;
  /** `accepted`: answered as soon as the task is kept; `prepared`: when a worker has found the request good. */
  answersWhen: 'accepted' | 'prepared';
  /** Schema of the answer's body. */
  body: z.ZodType;
  /** What the job's output log says at a good end; clients look for the words. */
  successLine: (result: Result) => string;
}

/** What an operation may look at of the system's configuration before its task is accepted. */
export type AdmittingSystem = Pick<SystemConfig, 'name' | 'fileSystems' | 'dataOperation' | 'transfers'>;

/** `system`: runs on one configured system. `none`: about the broker itself, runs on no system. */
export type Scope = 'system' | 'none';

/** The contract of one operation. `Input` and `Result` are Zod schemas with wire names. */
export interface Operation<
  Input extends z.ZodObject = z.ZodObject,
  Result extends z.ZodType = z.ZodType,
  Reach extends Scope = Scope,
> {
  /** `area.verb-noun`, the same words as the file's path. */
  name: string;
  summary: string;
  input: Input;
  result: Result;
  firecrest: FirecrestRoute<z.infer<Result>>;
  /**
   * Of a change whose result may be too large for its record: the same with less in it, and saying so. The change was made, so
   * its task completes whatever the result weighs; asked again until there is room.
   */
  shorten?: (result: z.infer<Result>) => z.infer<Result>;
  relation: Relation;
  /** What the caller must be allowed besides, by what was asked for; null: nothing. */
  alsoRelation?: (input: z.infer<Input>) => Relation | null;
  /** The body may name an address to be told, on its own route too; that sets an input field, a boolean. */
  takesWebhook?: { readonly sets: string };
  requires: readonly Requirement[];
  lane: Lane;
  scope: Reach;
  /** Whether it changes anything on the cluster. A read is canceled when its client goes away, a mutation goes on. */
  mutates: boolean;
  /**
   * The bytes of a file are the body: of the answer (`out`), or of the request (`in`, as multipart/form-data with one file).
   * Such an operation runs by its own route only, for a request that is held.
   */
  bytes?: 'in' | 'out';
  /** The bytes that go out are a text that may grow: plain, or as server-sent events. */
  streams?: 'log';
  recover: Recovery;
  /** The handler has no effect before its first journal write, which claims the task: it may begin at once. */
  journalsFirst?: true;
  /**
   * Of an operation about several systems: the input field that names them, a text with commas between; left out it means
   * all. It is narrowed to the systems that the caller may see before the task is accepted.
   */
  systemsField?: string;
  /** Input fields that hold a path which must lie in a configured file system, as text and on the cluster. */
  paths: readonly PathField[];
  /**
   * Of an operation that acts on another system too: the input field that names it, and those that hold paths there. The
   * caller must have the same relation to it, and what is required must be healthy there.
   */
  peer?: { readonly systemField: string; readonly paths: readonly PathField[] };
  /** `before` when left out. */
  admission?: Admission;
  /** Refuses input that the system's configuration rules out, by a BrokerError. */
  admit?: (input: z.infer<Input>, system: AdmittingSystem) => void;
  /** The admitted input as it is kept: what must not be in the record in the clear, sealed. Alike for the same input. */
  conceal?: (input: z.infer<Input>, system: AdmittingSystem) => z.infer<Input>;
  /** Longest run of one attempt, milliseconds, where the system's configuration says nothing shorter. */
  timeoutMs: number;
  /** Codes a caller may meet beyond those every operation has. */
  errors: readonly ErrorCode[];
}

/** Types an operation's contract; `Input` and `Result` are inferred from its schemas. */
export function defineOperation<Input extends z.ZodObject, Result extends z.ZodType, Reach extends Scope>(
  operation: Operation<Input, Result, Reach>,
): Operation<Input, Result, Reach> {
  return operation;
}

/** Whether a task is to be claimed before its handler begins, since that may have an effect at once. */
export function beginsWithClaim(operation: Pick<Operation, 'mutates' | 'journalsFirst'>): boolean {
  return operation.mutates && operation.journalsFirst !== true;
}

export type InputOf<O> = O extends Operation<infer Input, z.ZodType, Scope> ? z.infer<Input> : never;
export type ResultOf<O> = O extends Operation<z.ZodObject, infer Result, Scope> ? z.infer<Result> : never;

/** How a header of the answer is called on its way from worker to API. */
export const relayedHeaderPrefix = 'result-';

/** Whether the input comes in a JSON body: what is neither in the path nor, with GET, DELETE and bytes of files, in the query. */
export function hasBody({ input, firecrest, bytes }: Pick<Operation, 'input' | 'firecrest' | 'bytes'>): boolean {
  const { method, params = {}, headers = {} } = firecrest;
  if (method === 'GET' || method === 'DELETE' || bytes !== undefined) return false;
  const elsewhere = [...Object.values(params), ...Object.values(headers)];
  return Object.keys(input.shape).some((field) => !elsewhere.includes(field));
}
