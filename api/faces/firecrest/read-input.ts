/** Collects an operation's input from where FirecREST v2 has it: the path, and the query (GET, DELETE) or the JSON body. */
import type { FieldProblem } from '../../../shared/errors/broker-error.ts';
import { hasBody, type Operation } from '../../../shared/operations/operation.ts';
import type { AppContext } from '../../http/app-env.ts';
import { invalidField } from '../../http/invalid-request.ts';
import { readJsonBody } from '../../http/json-body.ts';
import { readQuery } from '../../http/query.ts';
import { fieldNamesOf, properNames } from '../../http/spellings.ts';

export interface InputReader {
  read(c: AppContext): Promise<Record<string, unknown>>;
  /** Where a field of the input came from, as errors name it. */
  locate(field: string): Pick<FieldProblem, 'location' | 'name'>;
}

function decodeSegment(text: string, name: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidField('path', name, 'is not valid percent-encoded UTF-8');
  }
}

/** The reader of one operation's route; its field names are worked out once. */
export function createInputReader(operation: Operation, bodyBytesMax: number): InputReader {
  const { params = {}, headers = {} } = operation.firecrest;
  const names = fieldNamesOf(operation.input);
  const isInBody = hasBody(operation);
  const headerNames = new Map(Object.entries(headers).map(([header, field]) => [field, header]));
  const pathNames = new Map(Object.entries(params).map(([parameter, field]) => [field, parameter]));
  return {
    async read(c) {
      const sent = isInBody
        ? await readJsonBody(c, { bytesMax: bodyBytesMax, wrongTypeCode: 'InvalidRequest' })
        : Object.fromEntries(readQuery(c));
      const input = properNames(names, sent);
      if (operation.takesWebhook !== undefined && isInBody && sent.webhook !== undefined) input.webhook = sent.webhook;
      for (const [header, field] of Object.entries(headers)) {
        input[field] = c.req.header(header);
      }
      for (const [parameter, field] of Object.entries(params)) {
        input[field] = decodeSegment(c.req.param(parameter) ?? '', parameter);
      }
      return input;
    },
    locate(field) {
      const parameter = pathNames.get(field);
      if (parameter !== undefined) return { location: 'path', name: parameter };
      const header = headerNames.get(field);
      if (header !== undefined) return { location: 'header', name: header };
      return { location: isInBody ? 'body' : 'query', name: field };
    },
  };
}
