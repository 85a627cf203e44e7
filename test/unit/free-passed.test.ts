import { expect, it, vi } from 'vitest';
import { freePassed } from '../../shared/platform/free-passed.ts';

const mebi = 2 ** 20;

/** MiB of buffers that V8 holds, those among them that nobody can reach. */
function heldMebibytes(): number {
  return process.memoryUsage().arrayBuffers / mebi;
}

it('buffers of bytes that passed through are freed by what passes after them, before V8 looks for them by itself', async () => {
  const before = heldMebibytes();
  for (let made = 0; made < 16; made += 1) Buffer.allocUnsafeSlow(mebi);
  expect(heldMebibytes()).toBeGreaterThan(before + 8);
  // They are freed beside the program, and counted as freed when the next ones are looked for.
  await vi.waitFor(() => {
    freePassed(16 * mebi);
    expect(heldMebibytes()).toBeLessThan(before + 4);
  });
});
