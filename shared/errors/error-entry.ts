/** What an entry of the error catalogue says. */

/** Whose fault an error is: the caller's request, the cluster behind us, or the broker itself. */
export type Fault = 'caller' | 'cluster' | 'broker';

/** What is known about one error code. */
export interface ErrorEntry {
  /** HTTP status of the answer. */
  readonly status: number;
  readonly fault: Fault;
  /** Whether the same request can succeed later without being changed. */
  readonly retryable: boolean;
  /** Short and constant, for the `title` member of RFC 9457. */
  readonly title: string;
  /** One sentence that says what the reader can do. */
  readonly advice: string;
}

/** One line of the catalogue. */
export function entry(status: number, fault: Fault, retryable: boolean, title: string, advice: string): ErrorEntry {
  return { status, fault, retryable, title, advice };
}
