/** The ids of a request: the caller's own where they are UUIDs, else fresh ones. */
import { randomUUID } from 'node:crypto';

/** 32 hexadecimal digits, hyphens optional. Another value is replaced: it would be free text in logs. */
const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

export interface RequestIds {
  requestId: string;
  /** What joins several requests of one undertaking; the request's own id where the caller names none. */
  correlationId: string;
}

export function requestIdsOf(sentId: string | undefined, sentCorrelation: string | undefined): RequestIds {
  const requestId = sentId !== undefined && uuid.test(sentId) ? sentId : randomUUID().replaceAll('-', '');
  const isCorrelated = sentCorrelation !== undefined && uuid.test(sentCorrelation);
  return { requestId, correlationId: isCorrelated ? sentCorrelation : requestId };
}
