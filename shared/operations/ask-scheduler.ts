/** What the operations have in common that ask the scheduler of a system and change nothing. */
export const askScheduler = {
  requires: ['ssh', 'scheduler'],
  lane: 'batch',
  scope: 'system',
  mutates: false,
  recover: 'rerun',
  paths: [],
} as const;
