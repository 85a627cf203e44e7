/** The test tiers. All but `unit` stand on the lab; see test/lab.global.ts for how to start less of it. */
import { defineConfig } from 'vitest/config';
import { closingLineReporter } from './test/closing-line.reporter.ts';

/** Time for one test and for one hook of a tier, and how many of its files run at once. */
const labTiers = [
  { name: 'integration', testTimeoutMs: 60_000, filesAtOnceMax: 2 },
  { name: 'contract', testTimeoutMs: 60_000, filesAtOnceMax: 2 },
  { name: 'system', testTimeoutMs: 120_000, filesAtOnceMax: 1 },
  { name: 'clients', testTimeoutMs: 300_000, filesAtOnceMax: 1 },
  { name: 'chaos', testTimeoutMs: 180_000, filesAtOnceMax: 1 },
];

// biome-ignore lint/style/noDefaultExport: vitest reads the configuration from the default export
export default defineConfig({
  test: {
    reporters: ['default', closingLineReporter((line) => process.stdout.write(line))],
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], sequence: { groupOrder: 0 } } },
      ...labTiers.map((tier, index) => ({
        test: {
          name: tier.name,
          include: [`test/${tier.name}/**/*.test.ts`],
          globalSetup: ['test/lab.global.ts'],
          testTimeout: tier.testTimeoutMs,
          hookTimeout: tier.testTimeoutMs,
          teardownTimeout: 30_000,
          maxWorkers: tier.filesAtOnceMax,
          sequence: { groupOrder: index + 1 },
        },
      })),
    ],
  },
});
