/** Who is told of every request that goes to slurmrestd: it is to REST what a command is to a shell. */
import { toBrokerError } from '../../../shared/errors/broker-error.ts';
import type { Rest, RestCall } from './rest-client.ts';

/** A request about to be sent: its method, path, user and on whose behalf. */
export type ObservedCall = Pick<RestCall, 'method' | 'path' | 'username' | 'origin'>;

/** How it ended; without a status `error` says why there is none. */
export interface CallEnd {
  status: number | null;
  error?: string;
}

/** Called before the request is sent; where it throws, the request is not. What it returns is told the end, once. */
export type ObserveCall = (call: ObservedCall) => (end: CallEnd) => void;

/** The client, with somebody who is told. */
export function observeCalls(rest: Rest, observe: ObserveCall): Rest {
  return async (call) => {
    const end = observe(call);
    try {
      const answer = await rest(call);
      end({ status: answer.status });
      return answer;
    } catch (error) {
      const { code, message } = toBrokerError(error);
      end({ status: null, error: `${code}: ${message}` });
      throw error;
    }
  };
}
