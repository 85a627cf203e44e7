/** Reads a JSON body: bounded while it is read, strict UTF-8, bounded depth. */
import { BrokerError } from '../../shared/errors/broker-error.ts';
import type { ErrorCode } from '../../shared/errors/catalogue.ts';
import type { AppContext } from './app-env.ts';
import { invalidField } from './invalid-request.ts';

/** Time for a JSON body to arrive: so long in any case, more for each byte that has come, and no more than the last. */
const graceMs = 15_000;
const bytesPerMsMin = 16;
const bodyMs = 120_000;
/** Up to this size a body is taken as a whole. */
const wholeBytesMax = 64 * 1024;
/** Deepest nesting of objects and lists. */
const depthMax = 32;
const jsonType = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;
const utf8 = new TextDecoder('utf-8', { fatal: true });

export interface JsonBodyOptions {
  bytesMax: number;
  /** The code for a body of another type: FirecREST v2 clients expect 400, others 415. */
  wrongTypeCode: Extract<ErrorCode, 'InvalidRequest' | 'UnsupportedMediaType'>;
}

function tooLarge(bytesMax: number): BrokerError {
  return new BrokerError('BodyTooLarge', `The request body is larger than the ${bytesMax} bytes allowed here.`);
}

function checkType(c: AppContext, code: JsonBodyOptions['wrongTypeCode']): void {
  const encoding = c.req.header('content-encoding');
  if (encoding !== undefined && encoding !== '' && encoding.toLowerCase() !== 'identity') {
    throw new BrokerError('UnsupportedMediaType', 'A compressed request body is not supported.');
  }
  if (jsonType.test(c.req.header('content-type') ?? '')) return;
  const isAbsent = c.req.header('content-type') === undefined && !(Number(c.req.header('content-length')) > 0);
  if (isAbsent && c.req.header('transfer-encoding') === undefined)
    throw invalidField('body', '', 'is required as JSON');
  if (code === 'InvalidRequest') throw invalidField('body', '', 'must be sent with Content-Type: application/json');
  throw new BrokerError(code, 'The body must be sent with Content-Type: application/json.');
}

/** What has arrived of a body. */
interface Progress {
  sizeBytes: number;
}

/** Counts what arrives, so that a body without (or with a false) Content-Length is bounded too. */
async function readStream(
  body: ReadableStream<Uint8Array> | null,
  bytesMax: number,
  progress: Progress,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  if (body === null) return new Uint8Array();
  for await (const chunk of body) {
    progress.sizeBytes += chunk.byteLength;
    if (progress.sizeBytes > bytesMax) throw tooLarge(bytesMax);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function readBytes(c: AppContext, bytesMax: number, progress: Progress): Promise<Uint8Array> {
  const declared = c.req.header('content-length');
  if (declared === undefined || c.req.header('transfer-encoding') !== undefined) {
    return readStream(c.req.raw.body, bytesMax, progress);
  }
  if (!(Number(declared) <= bytesMax)) throw tooLarge(bytesMax);
  if (Number(declared) > wholeBytesMax) return readStream(c.req.raw.body, bytesMax, progress);
  const bytes = new Uint8Array(await c.req.raw.arrayBuffer());
  if (bytes.byteLength > bytesMax) throw tooLarge(bytesMax);
  return bytes;
}

/** Gives up on a body that comes too slowly. */
async function inTime<T>(read: (progress: Progress) => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const progress: Progress = { sizeBytes: 0 };
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const look = (): void => {
      const allowedMs = Math.min(bodyMs, graceMs + progress.sizeBytes / bytesPerMsMin);
      const leftMs = allowedMs - (performance.now() - startedAt);
      if (leftMs > 0) timer = setTimeout(look, Math.ceil(leftMs));
      else reject(new BrokerError('RequestTimeout', 'The request did not arrive in time.'));
    };
    look();
  });
  try {
    return await Promise.race([read(progress), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether a parsed value nests deeper than `depth` levels. */
function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth === 0) return true;
  return Object.values(value).some((member) => isDeeper(member, depth - 1));
}

function parseJson(bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) throw invalidField('body', '', 'is required');
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw invalidField('body', '', 'is not valid UTF-8');
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw invalidField('body', '', 'is not valid JSON');
  }
}

/** The JSON object of the body. Of a repeated key the last counts. Throws InvalidRequest, BodyTooLarge, UnsupportedMediaType. */
export async function readJsonBody(c: AppContext, options: JsonBodyOptions): Promise<Record<string, unknown>> {
  checkType(c, options.wrongTypeCode);
  const value = parseJson(await inTime((progress) => readBytes(c, options.bytesMax, progress)));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidField('body', '', 'must be a JSON object');
  }
  if (isDeeper(value, depthMax)) throw invalidField('body', '', `must not nest deeper than ${depthMax} levels`);
  return value as Record<string, unknown>;
}
