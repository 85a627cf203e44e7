/** The documents written by hand: what they name is there. What is generated has a test of its own. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorCatalogue } from '../../shared/errors/catalogue.ts';

const generated = ['docs/configuration.md', 'docs/errors.md', 'docs/performance.md', 'docs/performance-tasks.md'];
const documents = ['.', 'docs', 'docs/decisions']
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .filter((file) => file.endsWith('.md') && !generated.includes(file));
const texts = documents.map((file): [string, string] => [file, readFileSync(file, 'utf8')]);
const folders = ['api', 'workers', 'shared', 'lab', 'test', 'bench', 'deploy', 'docs'];

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, found]) => found ?? '');
}

describe('a document', () => {
  it.each(texts)('%s names files that are there', (file, text) => {
    const paths = matches(text, /`([\w.-]+\/[\w./-]*)`/g).filter((path) => folders.includes(path.split('/')[0] ?? ''));
    for (const path of paths) expect(existsSync(path), `${file}: ${path}`).toBe(true);
  });

  it.each(texts)('%s has no mark of a merge in it', (_file, text) => {
    expect(matches(text, /^(<{7} .*|={7}|>{7} .*)$/gm)).toEqual([]);
  });

  it.each(texts)('%s links to pages and headings that are there', (file, text) => {
    for (const link of matches(text, /\]\(([^)\s]+)\)/g).filter((target) => !/^https?:/.test(target))) {
      const [path = '', heading] = link.split('#');
      const page = join(dirname(file), path);
      expect(existsSync(page), `${file}: ${link}`).toBe(true);
      if (heading === undefined) continue;
      const headings = matches(readFileSync(page, 'utf8'), /^#+ (.+)$/gm);
      expect(
        headings.map((title) =>
          title
            .toLowerCase()
            .replace(/[^\w ]/g, '')
            .replaceAll(' ', '-'),
        ),
      ).toContain(heading);
    }
  });

  it.each(texts)('%s names configuration keys and npm scripts that are there', (file, text) => {
    const reference = readFileSync('docs/configuration.md', 'utf8');
    for (const key of matches(text, /`((?:goldcrest|clusters\[\]|auth)\.[\w.<>[\]]+)`/g)) {
      expect(reference.includes(`\`${key}`), `${file}: ${key}`).toBe(true);
    }
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
    for (const script of matches(text, /npm run ([a-z:]+)/g)) expect(Object.keys(scripts), file).toContain(script);
  });
});

describe('docs/glossary.md', () => {
  it('explains each word once', () => {
    const words = matches(readFileSync('docs/glossary.md', 'utf8'), /^\| \*\*(.+?)\*\* \|/gm);
    expect(words.length).toBeGreaterThan(20);
    expect(words.filter((word, index) => words.indexOf(word) !== index)).toEqual([]);
  });
});

describe('docs/operating.md', () => {
  it('explains codes that the catalogue has', () => {
    const text = readFileSync('docs/operating.md', 'utf8');
    const [, table = ''] = text.split('## Trouble, by code');
    const codes = matches(table, /^\| (.+?) \|/gm).flatMap((cell) => matches(cell, /`(\w+)`/g));
    expect(codes.length).toBeGreaterThan(10);
    for (const code of codes) expect(Object.keys(errorCatalogue)).toContain(code);
  });
});

describe('docs/operating.md, what to watch', () => {
  it('names lines of the log that are written', () => {
    const [, section = ''] = readFileSync('docs/operating.md', 'utf8').split('## What to watch');
    const [table = ''] = section.split('\n## ');
    const lines = matches(table, /^\| (.+?) \|/gm).flatMap((cell) =>
      matches(cell, /`([^`]+)`/g).filter((text) => text.includes(' ')),
    );
    expect(lines.length).toBeGreaterThan(10);
    const sources = ['api', 'workers', 'shared'].flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => readFileSync(join(folder, name), 'utf8')),
    );
    const source = sources.join('\n');
    for (const line of lines) expect(source.includes(line), line).toBe(true);
  });
});

describe('SECURITY.md', () => {
  it('promises only what a test is there for', () => {
    const text = readFileSync('SECURITY.md', 'utf8');
    const rows = matches(text, /^\| [^|]+ \| ([^|]+) \|$/gm).filter((cell) => !/^(Test|-+)$/.test(cell.trim()));
    expect(rows.length).toBeGreaterThan(10);
    let files: string[] = [];
    for (const row of rows) {
      const named = matches(row, /`(test\/[^`]+)`/g);
      files = named.length > 0 ? named : files; // `there` means the file of the row above
      const tests = files.map((file) => readFileSync(file, 'utf8')).join('\n');
      expect(files.length, row).toBeGreaterThan(0);
      for (const name of matches(row, /"([^"]+)"/g)) expect(tests.includes(`('${name}'`), row).toBe(true);
    }
  });
});
