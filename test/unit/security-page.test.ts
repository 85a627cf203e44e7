/** SECURITY.md: each promise names a test that is there, by its file and by the words of its title. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const page = readFileSync('SECURITY.md', 'utf8');
const [, table = ''] = page.split('## What is promised, and the test that backs it');
const rows = (table.split('\n## ')[0] ?? '').split('\n').filter((line) => /^\| (?!Promise )[^-]/.test(line));

/** Files and, after each, the titles named for it. `there` stands for the file of the row before. */
function testsOf(row: string, before: string): { file: string; title: string | null }[] {
  const cell = row.split(' | ').at(-1)?.replace(/ \|$/, '') ?? '';
  let file = before;
  return cell.split(';').flatMap((part): { file: string; title: string | null }[] => {
    file = /`([^`]+)`/.exec(part)?.[1] ?? file;
    const titles = [...part.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title);
    return titles.length === 0 ? [{ file, title: null }] : titles.map((title) => ({ file, title }));
  });
}

describe('a promise of SECURITY.md', () => {
  let last = '';
  const promises = rows.map((row) => {
    const tests = testsOf(row, last);
    last = tests.at(-1)?.file ?? last;
    return [row.split(' | ')[0]?.slice(2) ?? row, tests] as const;
  });

  it('is found, of each', () => {
    expect(promises.length).toBeGreaterThan(24);
  });

  it.each(promises)('%s', (_promise, tests) => {
    expect(tests.length).toBeGreaterThan(0);
    for (const { file, title } of tests) {
      expect(existsSync(file), file).toBe(true);
      if (title === null) continue;
      // A title stands there as the first word of a call, in quotes; templates and tables have theirs in the text.
      const text = readFileSync(file, 'utf8');
      expect(new RegExp(`['"\`]${escaped(title)}['"\`]`).test(text), `${file}: ${title}`).toBe(true);
    }
  });
});

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
