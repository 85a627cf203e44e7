/** The classes of queues. A worker may be told to serve some of them only. */

/**
 * `interactive`: file operations a client waits for; `batch`: scheduler commands; `transfer`: bytes of files, which take
 * as long as the client does; `move`: work on files that goes on for long, of which a user has few at a time.
 */
export const lanes = ['interactive', 'batch', 'transfer', 'move'] as const;

export type Lane = (typeof lanes)[number];
