/** Closes a test run with one plain line, `N passed, N failed, N skipped`, which CI reads whatever the test runner. */
import type { Reporter, TestModule } from 'vitest/node';

/** A reporter to stand after the one that people read. A file that does not load and a stray error count as failed. */
export function closingLineReporter(write: (line: string) => void): Reporter {
  return {
    onTestRunEnd(modules, unhandledErrors) {
      const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
      for (const module of modules) countModule(module, counts);
      write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
    },
  };
}

function countModule(module: TestModule, counts: { passed: number; failed: number; skipped: number }): void {
  counts.failed += module.errors().length;
  for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
  for (const test of module.children.allTests()) {
    const { state } = test.result();
    // One that the run never came to, since it was cut short, has not passed.
    counts[state === 'pending' ? 'failed' : state] += 1;
  }
}
