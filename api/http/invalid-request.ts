/** InvalidRequest with the fields that were wrong, from our own checks and from Zod's. */
import type { z } from 'zod';
import { BrokerError, type FieldProblem } from '../../shared/errors/broker-error.ts';

/** Problems told in the message; all are in the answer's `errors`. */
const problemsToldMax = 3;
/** Problems kept; a list of a million wrong items must not become a million messages. */
const problemsKeptMax = 100;

/** An InvalidRequest whose message is one sentence that names the fields. */
export function invalidRequest(problems: readonly FieldProblem[]): BrokerError {
  const told = problems.slice(0, problemsToldMax).map((problem) => {
    const name = problem.pointer.replace(/^\//, '').replaceAll('/', '.');
    return name === '' ? `the ${problem.location} ${problem.message}` : `\`${name}\` ${problem.message}`;
  });
  const more = problems.length > problemsToldMax ? `; and ${problems.length - problemsToldMax} more` : '';
  return new BrokerError('InvalidRequest', `Invalid request: ${told.join('; ')}${more}.`, {
    fields: problems.slice(0, problemsKeptMax),
  });
}

/** An InvalidRequest about one place. */
export function invalidField(location: FieldProblem['location'], pointer: string, message: string): BrokerError {
  const name = pointer.replace(/^\//, '').split('/')[0] ?? '';
  return invalidRequest([{ location, name, pointer, message }]);
}

/** One step of a JSON pointer (RFC 6901). */
export function pointerStep(key: PropertyKey): string {
  return String(key).replaceAll('~', '~0').replaceAll('/', '~1');
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    return (at as Record<PropertyKey, unknown>)[key];
  }, value);
}

/** Zod's issues as field problems. `locate` tells where an input field came from. */
export function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  input: unknown,
  locate: (field: string) => Pick<FieldProblem, 'location' | 'name'>,
): FieldProblem[] {
  return issues.map((issue) => {
    const { location, name } = locate(String(issue.path[0] ?? ''));
    const isMissing = issue.path.length > 0 && valueAt(input, issue.path) === undefined;
    return {
      location,
      name,
      pointer: location === 'body' ? issue.path.map((key) => `/${pointerStep(key)}`).join('') : name,
      message: isMissing && issue.code !== 'custom' ? 'is required' : plainMessage(issue),
    };
  });
}

/** Zod's own sentences begin with a capital; ours are written to follow a field's name. */
function plainMessage(issue: z.core.$ZodIssue): string {
  // What is wrong with a key of a record is told inside the issue about the key.
  const { message } = issue.code === 'invalid_key' ? (issue.issues[0] ?? issue) : issue;
  return message.replace(/^Invalid input: expected (.*), received (.*)$/, 'must be $1, not $2');
}
