/**
 * The one list of errors: code → HTTP status, whose fault it is, whether repeating the same request can help, and
 * what to do. HTTP statuses live here and in the API's error middleware only. The statuses on FirecREST's face are
 * those FirecREST v2 clients compare against.
 */

import { type ErrorEntry, entry } from './error-entry.ts';

export const errorCatalogue = {
  // the request itself
  InvalidRequest: entry(
    400,
    'caller',
    false,
    'Invalid request',
    'Correct the fields named in the answer and send the request again.',
  ),
  TransferMethodUnavailable: entry(
    400,
    'caller',
    false,
    'The system has no such transfer method',
    'Use the method that the answer names (`errors`); `GET /status/systems` tells each system’s as `dataOperation.data_transfer.serviceType`.',
  ),
  PathNotAbsolute: entry(400, 'caller', false, 'Path is not absolute', 'Send a path that begins with a slash.'),
  PathNotAllowed: entry(
    400,
    'caller',
    false,
    'Path is outside the file systems of the system',
    'Use a path under one of the file systems that /status/systems lists.',
  ),
  AccountRequired: entry(
    400,
    'caller',
    false,
    'An account is required',
    'Name the account to charge in the `account` field.',
  ),
  UsernameClaimMissing: entry(
    400,
    'caller',
    false,
    'The token names no user',
    'Ask for a token that carries the configured username claim.',
  ),
  FileExists: entry(400, 'caller', false, 'The target exists', 'Choose another target, or remove the existing one.'),
  InvalidUser: entry(400, 'caller', false, 'Unknown user or group', 'Use a user and a group that the system has.'),
  InvalidJob: entry(
    400,
    'caller',
    false,
    'The scheduler refused the job',
    'Correct the job as the scheduler says and submit again.',
  ),
  WebhookNotAllowed: entry(
    400,
    'caller',
    false,
    'The address of the webhook is not allowed',
    'Use an https address that is reachable from the internet, or ask the administrators which are allowed.',
  ),
  // who is asking
  Unauthenticated: entry(
    401,
    'caller',
    false,
    'Not authenticated',
    'Send an access token in the Authorization header: Bearer <token>.',
  ),
  TokenInvalid: entry(
    401,
    'caller',
    false,
    'Invalid access token',
    'Get a new access token from an issuer this service accepts, for its audience.',
  ),
  TokenExpired: entry(
    401,
    'caller',
    false,
    'Expired access token',
    'Get a new access token and send the request again.',
  ),
  ProofInvalid: entry(401, 'caller', false, 'Invalid DPoP proof', 'Sign a new DPoP proof for this request; send it.'),
  ProofNonceRequired: entry(401, 'caller', false, 'A nonce is needed', 'Sign a proof with the nonce of DPoP-Nonce.'),
  Forbidden: entry(403, 'caller', false, 'Not allowed', 'Ask the administrators of the system for this permission.'),
  ConsentExpired: entry(403, 'caller', false, 'The consent has ended', 'Look what was done, then ask again.'),
  PermissionDenied: entry(
    403,
    'caller',
    false,
    'The cluster denied permission',
    'Check owner and mode of the path on the cluster.',
  ),
  SubmitLimit: entry(
    403,
    'caller',
    true,
    'A limit of the scheduler is reached',
    'Wait for running jobs to end, or ask for a higher limit.',
  ),
  // what is asked for
  NotFound: entry(404, 'caller', false, 'Not found', 'Check the path against /openapi.json.'),
  SystemNotFound: entry(404, 'caller', false, 'System not found', 'Use a name that /status/systems lists.'),
  JobNotFound: entry(
    404,
    'caller',
    false,
    'Job not found',
    'Check the job id; a job that left the accounting records cannot be shown.',
  ),
  FileNotFound: entry(404, 'caller', false, 'No such file or directory', 'Check the path on the cluster.'),
  WebhookNotFound: entry(404, 'caller', false, 'Webhook not found', 'Check the id against GET /webhooks.'),
  WatchNotFound: entry(404, 'caller', false, 'Watch not found', 'Check the id against GET /watches.'),
  TaskNotFound: entry(404, 'caller', false, 'Task not found', 'Check the task id.'),
  MethodNotAllowed: entry(405, 'caller', false, 'Method not allowed', 'Use one of the methods in the Allow header.'),
  CommandTimeout: entry(
    408,
    'cluster',
    true,
    'The command ran out of time',
    'Try again, or use the transfer routes for work that takes long.',
  ),
  RequestTimeout: entry(
    408,
    'caller',
    true,
    'The request did not arrive in time',
    'Send the request again; bytes must keep coming.',
  ),
  HoldTimeout: entry(
    408,
    'broker',
    true,
    'The task did not end while the request was held',
    'Follow the Location header to the task, or repeat the request with the same Idempotency-Key.',
  ),
  DeadlineExceeded: entry(
    408,
    'caller',
    false,
    'The deadline of the task passed',
    'Submit again with a later deadline.',
  ),
  JobNotRunning: entry(
    409,
    'caller',
    false,
    'The job is not running',
    'Try again while the job runs; one that has ended cannot be attached to.',
  ),
  JobEnded: entry(409, 'caller', false, 'The job has ended', 'Nothing of it can be changed; submit a new job.'),
  JobNotCompleted: entry(409, 'caller', false, 'The job did not complete', 'Look at what the job has written.'),
  JobNotPending: entry(
    409,
    'caller',
    false,
    'The job is not waiting',
    'This can be done only before the job starts; cancel it if it is not wanted.',
  ),
  TaskConflict: entry(409, 'caller', false, 'The task is in another state', 'Read the task to see its present state.'),
  TaskCanceled: entry(409, 'caller', false, 'The task was canceled', 'Submit the request again if it is still wanted.'),
  TaskExpired: entry(
    410,
    'caller',
    false,
    'The task is no longer kept',
    'Tasks are kept for a limited time; submit the request again.',
  ),
  BodyTooLarge: entry(
    413,
    'caller',
    false,
    'The request body is too large',
    'Send at most the number of bytes named in the answer.',
  ),
  OutputTooLarge: entry(
    413,
    'caller',
    false,
    'The output is too large',
    'Ask for less: a page, a deeper directory, a range of bytes (ops/download), or use the transfer routes.',
  ),
  ArchiveTooLarge: entry(413, 'caller', false, 'The archive unpacks to too much', 'Unpack it in parts, or in a job.'),
  RangeNotSatisfiable: entry(
    416,
    'caller',
    false,
    'The range is not in the file',
    'Ask for a range that begins before the end of the file.',
  ),
  UnsupportedMediaType: entry(415, 'caller', false, 'Unsupported media type', 'Send the body as application/json.'),
  IdempotencyMismatch: entry(
    422,
    'caller',
    false,
    'Idempotency-Key was used for another request',
    'Use a fresh key for a different request.',
  ),
  IdempotencyRunning: entry(
    409,
    'caller',
    true,
    'The first request with this Idempotency-Key is not answered yet',
    'Send it again as Retry-After says.',
  ),
  // how much is asked for
  UserQueueFull: entry(
    429,
    'caller',
    true,
    'Too many open tasks',
    'Wait as Retry-After says; fewer of your tasks may be open at once.',
  ),
  RateLimited: entry(
    429,
    'caller',
    true,
    'Too many tasks in a short time',
    'Wait as Retry-After says; GET /limits shows how many tasks you may submit, and a batch counts each.',
  ),
  TooManyStreams: entry(
    429,
    'caller',
    true,
    'Too many open event streams',
    'Close a stream that is no longer read, or read all events from one.',
  ),
  TooManyWebhooks: entry(
    429,
    'caller',
    false,
    'Too many webhooks',
    'Remove a webhook that is no longer used; one can be told of all your tasks.',
  ),
  TooManyWatches: entry(429, 'caller', false, 'Too many watched jobs', 'Remove watches that are not wanted.'),
  // the cluster
  SshUnavailable: entry(
    424,
    'cluster',
    true,
    'Unable to establish SSH connection.',
    'Try again later; the login node did not accept a connection.',
  ),
  SshNoChannel: entry(
    424,
    'cluster',
    true,
    'Unable to open a new SSH channel.',
    'Try again as Retry-After says; all channels to the login node are in use.',
  ),
  TransferBroken: entry(
    424,
    'cluster',
    true,
    'The bytes stopped on their way',
    'Send the request again; a target of an upload is as it was.',
  ),
  SshCredentialsRefused: entry(
    424,
    'cluster',
    false,
    'The login node refused the credentials',
    'Ask the administrators whether your account exists on the system.',
  ),
  HostKeyMismatch: entry(
    424,
    'cluster',
    false,
    'The host key of the login node is not the expected one',
    'Ask the administrators; nothing was sent to the host.',
  ),
  RemoteCommandFailed: entry(
    500,
    'cluster',
    false,
    'The remote command failed',
    'Read the message of the command in the answer.',
  ),
  SchedulerFailed: entry(
    500,
    'cluster',
    true,
    'The scheduler did not answer as expected',
    'Try again later; ask the administrators if it persists.',
  ),
  SubmissionInDoubt: entry(
    500,
    'cluster',
    true,
    'It is not yet known whether the scheduler took the job',
    'Follow the task; the broker looks the job up before it submits again.',
  ),
  StagingFailed: entry(
    500,
    'cluster',
    false,
    'The staging store refused the request',
    'Ask the administrators; the store of the system is not set up as it must be.',
  ),
  TransferFailed: entry(
    500,
    'cluster',
    false,
    'The transfer failed',
    'Read the message; nothing was left at the target, and the transfer may be started again.',
  ),
  OutcomeUnknown: entry(
    500,
    'broker',
    false,
    'The outcome is not known',
    'Check on the cluster whether the work was done before you repeat it.',
  ),
  NotSupported: entry(
    501,
    'caller',
    false,
    'Not supported on this system',
    'Use another operation; this system cannot do it.',
  ),
  // the broker
  Internal: entry(500, 'broker', false, 'Internal error', 'Report the request id to the administrators.'),
  WorkerLost: entry(500, 'broker', true, 'The worker was lost', 'Try again; the work was not finished.'),
  QueueFull: entry(503, 'broker', true, 'The queue is full', 'Try again as Retry-After says.'),
  StoreUnavailable: entry(
    503,
    'broker',
    true,
    'The task store does not answer',
    'Try again as Retry-After says; accepted tasks are kept.',
  ),
  StoreFull: entry(
    503,
    'broker',
    true,
    'The task store is nearly full',
    'Try again as Retry-After says; the operator can raise the memory of Redis or keep ended tasks for a shorter time.',
  ),
  StagingUnavailable: entry(
    503,
    'cluster',
    true,
    'The staging store does not answer',
    'Try again as Retry-After says.',
  ),
  AuthorizationUnavailable: entry(
    503,
    'broker',
    true,
    'It cannot be found out what you may do',
    'Try again as Retry-After says; nothing was done.',
  ),
  IssuerUnavailable: entry(503, 'broker', true, 'The token issuer does not answer', 'Try again as Retry-After says.'),
  ServiceUnhealthy: entry(
    503,
    'cluster',
    true,
    'A service of the system is unhealthy',
    'Try again as Retry-After says; /status/systems shows the state.',
  ),
  ShuttingDown: entry(
    503,
    'broker',
    true,
    'The service is shutting down',
    'Send the request again; another instance will take it.',
  ),
} as const satisfies Record<string, ErrorEntry>;

/** Every error code there is. */
export type ErrorCode = keyof typeof errorCatalogue;

/** All codes, in the order of the catalogue. */
export const errorCodes = Object.keys(errorCatalogue) as ErrorCode[];

/** The catalogue's entry for a code. */
export function describeError(code: ErrorCode): ErrorEntry {
  return errorCatalogue[code];
}

/** Whether a string read from a store is a code of this version's catalogue. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCatalogue, code);
}
