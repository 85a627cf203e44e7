/** Waits for what will hold in a moment, on a busy machine too: the second that vitest gives by itself is short there. */
import { vi } from 'vitest';

/** Resolves with what `look` gives once it neither throws nor rejects; after 30 s it rejects as `look` did last. */
export function eventually<T>(look: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(look, { timeout: 30_000, interval: 50 });
}
