/** What goes wrong while real parts are started or driven; the message says what to look at or install. */

export type LabFault = 'PortTaken' | 'Missing' | 'Died' | 'TimedOut' | 'CommandFailed' | 'NotStarted';

/** An error of the lab. `fault` tells a port that somebody else took (worth a retry) from everything else. */
export class LabError extends Error {
  override readonly name = 'LabError';
  readonly fault: LabFault;

  constructor(fault: LabFault, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.fault = fault;
  }
}
