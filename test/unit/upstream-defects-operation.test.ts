/** FirecREST v2's faults of operation, and that every one of its 22 known defects has a test that bears its number. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

interface Lock {
  packages: Record<string, { version?: string; integrity?: string; inBundle?: boolean; optional?: boolean }>;
}

it('defect 21: every package is of one exact version, and the lock file knows its content', () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, Record<string, string>>;
  const wanted = { ...manifest.dependencies, ...manifest.devDependencies };
  for (const [name, version] of Object.entries(wanted)) expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock;
  const { '': _own, ...others } = packages;
  expect(Object.keys(others).length).toBeGreaterThan(50);
  // One that is bundled is within the content of its parent; an optional one may be another platform's.
  const loose = Object.entries(others).filter(
    ([, { version, integrity, inBundle, optional }]) =>
      version === undefined || !(integrity?.startsWith('sha512-') || inBundle || optional),
  );
  expect(loose.map(([path]) => path)).toEqual([]);
});

it('each defect has a test that is named after it', () => {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.ts'));
  const texts = files.map((name) => readFileSync(join('test', name), 'utf8')).join('\n');
  const titles = [...texts.matchAll(/['"`]defects? ([\d, and]+):/g)].map(([, numbers]) => numbers ?? '');
  const named = new Set(titles.flatMap((numbers) => numbers.match(/\d+/g) ?? []).map(Number));
  const all = Array.from({ length: 22 }, (_, index) => index + 1);
  expect(all.filter((number) => !named.has(number))).toEqual([]);
});
