/** What the contracts of the operations on files have in common: those that read, and those that change. */

const onFiles = { requires: ['ssh', 'filesystem'], lane: 'interactive', scope: 'system' } as const;

/** A read, which may be run again. */
export const readsFiles = { ...onFiles, relation: 'read_files', mutates: false, recover: 'rerun' } as const;

/** A change. How it is taken up after its worker has died is each operation's own. */
export const changesFiles = { ...onFiles, relation: 'write_files', mutates: true } as const;
