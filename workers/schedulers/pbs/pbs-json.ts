/**
 * Reads what `qstat -F json` and `pbsnodes -F json` print, which is not always JSON: OpenPBS up to 22 leaves quotes and
 * backslashes in texts as they are and prints whatever looks like a number bare, a job named `1e5`, `inf` or `007`
 * included. But every version puts one member on a line and a newline within a text as `\n`, so lines are what is read.
 */
import { BrokerError } from '../../../shared/errors/broker-error.ts';

/** Numbers and booleans stay the text they were printed as, since a job's name may look like one. */
export type PbsValue = string | PbsObject | readonly PbsValue[];
/** Members by name; of a name that comes twice, objects are joined and of other values the last one counts. */
export type PbsObject = ReadonlyMap<string, PbsValue>;

type Open = { kind: 'object'; members: Map<string, PbsValue> } | { kind: 'list'; items: PbsValue[] };

const member = /^\s*"([^"]*)":\s*(.*?),?\s*$/;
const closing = /^\s*[}\]],?\s*$/;

/**
 * The documents in the output, in order; text around them is left out. SchedulerFailed for a document that breaks off
 * or has another form.
 */
export function readPbsDocuments(output: string): PbsObject[] {
  const documents: PbsObject[] = [];
  const open: Open[] = [];
  for (const line of output.split('\n')) {
    const last = open.at(-1);
    if (last === undefined) {
      if (line.trim() !== '{') continue;
      const members = new Map<string, PbsValue>();
      documents.push(members);
      open.push({ kind: 'object', members });
    } else if (closing.test(line)) {
      open.pop();
    } else if (line.trim() !== '') {
      const next = readLine(line, last);
      if (next) open.push(next);
    }
  }
  if (open.length > 0) throw unreadable(output);
  return documents;
}

/** Puts the line's value into `parent`; the value is handed back where it goes on in the next lines. */
function readLine(line: string, parent: Open): Open | undefined {
  if (parent.kind === 'list') {
    const text = line.trim().replace(/,$/, '');
    if (text === '{' || text === '[') throw unreadable(line);
    parent.items.push(readValue(text));
    return undefined;
  }
  const [, name, text] = member.exec(line) ?? [];
  if (name === undefined || text === undefined) throw unreadable(line);
  if (text === '{') {
    const earlier = parent.members.get(name);
    const members = earlier instanceof Map ? earlier : new Map<string, PbsValue>();
    parent.members.set(name, members);
    return { kind: 'object', members };
  }
  if (text === '[') {
    const items: PbsValue[] = [];
    parent.members.set(name, items);
    return { kind: 'list', items };
  }
  parent.members.set(name, readValue(text));
  return undefined;
}

/** A value on one line: a text, a list or object that is closed there (OpenPBS 23 prints lists so), or a bare word. */
function readValue(text: string): PbsValue {
  if (text.length > 1 && text.startsWith('"') && text.endsWith('"')) return unescaped(text.slice(1, -1));
  if (text.startsWith('[') || text.startsWith('{')) return readInline(text);
  return text;
}

function readInline(text: string): PbsValue {
  try {
    return fromJson(JSON.parse(text));
  } catch (cause) {
    throw unreadable(text, cause);
  }
}

function fromJson(value: unknown): PbsValue {
  if (Array.isArray(value)) return value.map(fromJson);
  if (typeof value !== 'object' || value === null) return String(value);
  return new Map(Object.entries(value).map(([name, item]) => [name, fromJson(item)]));
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };

/** What JSON escapes, and the commas and quotes that PBS escapes in lists of variables; any other backslash is one. */
function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|([nrtbf"'\\/,]))/g, (_whole, code?: string, char = '') =>
    code === undefined ? (escapes[char] ?? char) : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** The text of a member; null where there is none. */
export function textOf(object: PbsObject, name: string): string | null {
  const value = object.get(name);
  return typeof value === 'string' ? value : null;
}

/** An object that is a member; empty where there is none. */
export function objectOf(object: PbsObject, name: string): PbsObject {
  const value = object.get(name);
  return value instanceof Map ? value : new Map();
}

function unreadable(output: string, cause?: unknown): BrokerError {
  const detail = { output: output.slice(-2_000) };
  return new BrokerError('SchedulerFailed', 'The output of the scheduler could not be read.', { detail, cause });
}
