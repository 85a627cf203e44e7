/** The test tiers. All but `unit` stand on the lab; see test/lab.global.ts for how to start less of it. */
import { defineConfig } from 'vitest/config';
import { closingLineReporter } from './test/closing-line.reporter.ts';

/** Time for one test and for one hook of a tier. */
const labTiers = [
  { name: 'integration', testTimeoutMs: 60_000 },
  { name: 'contract', testTimeoutMs: 60_000 },
  { name: 'system', testTimeoutMs: 120_000 },
  { name: 'clients', testTimeoutMs: 300_000 },
  { name: 'chaos', testTimeoutMs: 300_000 },
];

// The AWS SDK's word on the end of Node 20, once a process, says nothing about the test.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

/** Of a tier. Much of a test is waiting for a lock, a probe or a job, and another file uses the processors meanwhile. */
const filesAtOnceMax = 2;
/** Of a file, where it says that they may. */
const testsAtOnceMax = 8;

// biome-ignore lint/style/noDefaultExport: vitest reads the configuration from the default export
export default defineConfig({
  test: {
    reporters: ['default', closingLineReporter((line) => process.stdout.write(line))],
    projects: [
      {
        test: {
          ...{ name: 'unit', include: ['test/unit/**/*.test.ts'], sequence: { groupOrder: 0 } },
          // Many take a second of processor time, beside a lab that starts.
          ...{ testTimeout: 60_000, hookTimeout: 60_000 },
        },
      },
      ...labTiers.map((tier, index) => ({
        test: {
          name: tier.name,
          include: [`test/${tier.name}/**/*.test.ts`],
          globalSetup: ['test/lab.global.ts'],
          testTimeout: tier.testTimeoutMs,
          hookTimeout: tier.testTimeoutMs,
          teardownTimeout: 30_000,
          maxWorkers: filesAtOnceMax,
          maxConcurrency: testsAtOnceMax,
          sequence: { groupOrder: index + 1 },
        },
      })),
    ],
  },
});
