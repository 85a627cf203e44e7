/** A method of an adapter whose scheduler cannot do it. */
import { BrokerError } from '../../shared/errors/broker-error.ts';

/** Rejects with NotSupported and the sentence. */
export function notSupported(sentence: string): () => Promise<never> {
  return async () => {
    throw new BrokerError('NotSupported', sentence);
  };
}
