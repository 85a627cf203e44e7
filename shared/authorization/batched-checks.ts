/** Puts the questions of one turn of the event loop into one request: OpenFGA's BatchCheck, or Check for a single one. */
import type { ClientBatchCheckItem, OpenFgaClient } from '@openfga/sdk';

export type CheckQuestion = Omit<ClientBatchCheckItem, 'correlationId'>;

interface Waiting {
  question: CheckQuestion;
  resolve(isAllowed: boolean): void;
  reject(error: unknown): void;
}

/** The server's own bound, unless it is configured. The client makes several requests of more, so many at once. */
const perRequestMax = 50;
const requestsAtOnce = 4;

/** A function that asks one question; a rejection is of that question, or of all that travelled with it. */
export function createBatchedChecks(
  client: Pick<OpenFgaClient, 'check' | 'batchCheck'>,
): (question: CheckQuestion) => Promise<boolean> {
  let waiting: Waiting[] = [];

  const send = (): void => {
    const batch = waiting;
    waiting = [];
    const [only] = batch;
    if (only !== undefined && batch.length === 1) askOne(client, only);
    else askAll(client, batch).catch((error: unknown) => batch.forEach(({ reject }) => void reject(error)));
  };

  return (question) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) queueMicrotask(send);
      waiting.push({ question, resolve, reject });
    });
}

function askOne(client: Pick<OpenFgaClient, 'check'>, { question, resolve, reject }: Waiting): void {
  const { contextualTuples, ...rest } = question;
  const contextual = contextualTuples === undefined ? {} : { contextualTuples: contextualTuples.tuple_keys };
  client.check({ ...rest, ...contextual }).then(({ allowed }) => resolve(allowed === true), reject);
}

async function askAll(client: Pick<OpenFgaClient, 'batchCheck'>, batch: readonly Waiting[]): Promise<void> {
  const checks = batch.map(({ question }, at) => ({ ...question, correlationId: String(at) }));
  const options = { maxBatchSize: perRequestMax, maxParallelRequests: requestsAtOnce };
  const { result } = await client.batchCheck({ checks }, options);
  const byId = new Map(result.map((answer) => [answer.correlationId, answer]));
  batch.forEach(({ resolve, reject }, at) => {
    const answer = byId.get(String(at));
    if (answer === undefined || answer.error) reject(new Error(answer?.error?.message ?? 'no answer in the batch'));
    else resolve(answer.allowed === true);
  });
}
