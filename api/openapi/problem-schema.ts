/** The error body in the OpenAPI document. */
type Json = Record<string, unknown>;

const nullable = (type: string): Json => ({ type: [type, 'null'] });

export const problemSchema: Json = {
  type: 'object',
  description: 'Members of RFC 9457 and of FirecREST v2 in one object',
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    instance: { type: 'string' },
    code: { type: 'string' },
    retryable: { type: 'boolean' },
    advice: { type: 'string' },
    fault: { enum: ['caller', 'cluster', 'broker'] },
    requestId: { type: 'string' },
    errors: {
      type: 'array',
      items: { type: 'object', properties: { pointer: { type: 'string' }, detail: { type: 'string' } } },
    },
    errorType: { enum: ['error', 'validation'] },
    message: { type: 'string' },
    causedBy: { type: ['array', 'null'], items: { type: 'string' } },
    data: nullable('object'),
    user: nullable('string'),
    'violated-policies': {
      type: 'array',
      items: { type: 'string' },
      description: 'Of RateLimited: the policies of RateLimit-Policy that are used up',
    },
  },
  required: ['errorType', 'message', 'causedBy', 'data', 'user', 'code', 'status', 'retryable'],
};
