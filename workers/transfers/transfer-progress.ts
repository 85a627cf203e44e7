/** How far a transfer is, and how fast on the average. */
import type { ParkOptions } from '../../shared/platform/task-parking.ts';

/** `sinceAt`: when it began, milliseconds since the epoch. */
export function transferProgress(done: number, total: number, sinceAt: number): NonNullable<ParkOptions['progress']> {
  const seconds = Math.max(1, Date.now() - sinceAt) / 1_000;
  const megabytesPerSecond = Math.round(done / 1e4 / seconds) / 100;
  const bytesPerSecond = Math.round(done / seconds);
  return { done, total, unit: 'bytes', message: `in progress, ${megabytesPerSecond} MB/s`, bytesPerSecond };
}
