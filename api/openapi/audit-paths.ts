/** The parts of the OpenAPI document about the audit trail. */
import { auditQuery, auditView, exportQuery } from '../faces/audit/read-audit.ts';
import { requestSchema, resultSchema } from './json-schemas.ts';
import { accessErrors, errorResponses, type Json, jsonContent, parameter } from './parts.ts';

export function auditPaths(): Json {
  const inQuery = ({ shape }: typeof auditQuery | typeof exportQuery): Json[] =>
    Object.entries(shape).map(([name, field]) => parameter(name, 'query', false, requestSchema(field)));
  const errors = errorResponses([...accessErrors, 'InvalidRequest', 'Internal']);
  return {
    '/audit': {
      get: {
        operationId: 'list_audit_records',
        summary: 'What was asked and done in your name, or, for administrators, in anybody’s; newest first',
        tags: ['audit'],
        parameters: inQuery(auditQuery),
        responses: {
          200: { description: 'A page; Link names the next', ...jsonContent(resultSchema(auditView)) },
          ...errors,
        },
      },
    },
    '/audit/export': {
      get: {
        operationId: 'export_audit_records',
        summary: 'The same records as lines of JSON, oldest first, as they were written',
        tags: ['audit'],
        parameters: inQuery(exportQuery),
        responses: {
          200: { description: 'A record a line', content: { 'application/x-ndjson': { schema: { type: 'string' } } } },
          ...errors,
        },
      },
    },
  };
}
