/** The ids of a request: the caller's own where they are plain words, else fresh ones. */
import { randomUUID } from 'node:crypto';

/** 32 hexadecimal digits, hyphens optional. Another value is replaced: it would be free text in logs. */
const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** Users choose this one by hand (`my-workflow-1234` in pyfirecrest's manual); it is no free text all the same. */
const correlationWord = /^[\w.:-]{1,128}$/;

export interface RequestIds {
  requestId: string;
  /** What joins several requests of one undertaking; the request's own id where the caller names none. */
  correlationId: string;
}

export function requestIdsOf(sentId: string | undefined, sentCorrelation: string | undefined): RequestIds {
  const requestId = sentId !== undefined && uuid.test(sentId) ? sentId : randomUUID().replaceAll('-', '');
  const isCorrelated = sentCorrelation !== undefined && correlationWord.test(sentCorrelation);
  return { requestId, correlationId: isCorrelated ? sentCorrelation : requestId };
}
