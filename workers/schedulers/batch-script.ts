/** What can be said of a batch script before a scheduler sees it. */
import { BrokerError } from '../../shared/errors/broker-error.ts';

/**
 * Throws InvalidJob for a script that no scheduler would run, with what to do about it: no interpreter line, DOS line
 * breaks. `text` may be the head of a longer script.
 */
export function checkBatchScript(text: string): void {
  if (text.trim() === '') {
    throw new BrokerError(
      'InvalidJob',
      'The batch script is empty. Its first line must name an interpreter: #!/bin/bash',
    );
  }
  if (!text.startsWith('#!')) {
    throw new BrokerError(
      'InvalidJob',
      'This does not look like a batch script: the first line must start with #! followed by the path of an ' +
        'interpreter. Put #!/bin/bash before everything else, white space included.',
    );
  }
  if (text.includes('\r\n')) {
    throw new BrokerError(
      'InvalidJob',
      'The batch script contains DOS line breaks (\\r\\n) instead of UNIX line breaks (\\n). Convert it, for ' +
        'example with dos2unix, and submit again.',
    );
  }
}
