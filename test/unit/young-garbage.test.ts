import { expect, it } from 'vitest';
import { createYoungCollector } from '../../api/http/young-garbage.ts';

const mebibyte = 2 ** 20;

it('buffers of bodies that passed are given back for each 8 MiB of them', async () => {
  const passed = createYoungCollector();
  for (let round = 0; round < 2; round += 1) {
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 0; n < 8; n += 1) passed(Buffer.alloc(mebibyte).length);
    await expect.poll(() => process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * mebibyte);
  }
});
