/** A look at something that need not be there. */
import { BrokerError } from '../../../shared/errors/broker-error.ts';

/** The value, or null where the look failed with FileNotFound; every other failure is thrown on. */
export async function unlessMissing<T>(look: Promise<T>): Promise<T | null> {
  try {
    return await look;
  } catch (error) {
    if (error instanceof BrokerError && error.code === 'FileNotFound') return null;
    throw error;
  }
}
