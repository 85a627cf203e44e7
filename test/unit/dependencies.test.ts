/** What is installed: each package of ours has its reason, and no licence is one that we cannot take. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { findLicenceProblems, productionPackages } from '../../deploy/licences.ts';

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, Record<string, string>>;
const page = readFileSync('docs/dependencies.md', 'utf8');
const [, production = '', development = ''] = page.split(/^## /m);

it.each([
  ['dependencies', production],
  ['devDependencies', development],
])('docs/dependencies.md gives the reason of each of the %s, and of no other', (kind, table) => {
  const named = [...table.matchAll(/^\| `([^`]+)` \| \S.+ \|$/gm)].map(([, name]) => name);
  expect(named.sort()).toEqual(Object.keys(manifest[kind] ?? {}).sort());
});

it('every version is exact', () => {
  const versions = [manifest.dependencies, manifest.devDependencies].flatMap((list) => Object.values(list ?? {}));
  for (const version of versions) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
});

it('every package for production has a licence that goes with ours', () => {
  const packages = productionPackages(new URL('../../', import.meta.url));
  expect(packages.length).toBeGreaterThan(15);
  expect(findLicenceProblems(packages)).toEqual([]);
});

it('a licence that does not, or is not known, is named', () => {
  const of = (licence: string | null) => findLicenceProblems([{ path: 'node_modules/x', licence }]);
  expect([of('GPL-3.0-only'), of(null), of('MIT AND GPL-2.0-only')].map((found) => found.length)).toEqual([1, 1, 1]);
  expect([of('MIT'), of('(MIT OR GPL-3.0-or-later)'), of('MIT AND ISC')]).toEqual([[], [], []]);
});

it('the bill of materials names every package of production in its version, and none of development', () => {
  const printed = execFileSync('npm', ['run', '--silent', 'sbom'], { encoding: 'utf8', maxBuffer: 64 * 2 ** 20 });
  const bill = JSON.parse(printed) as { bomFormat: string; components: { name: string; version: string }[] };
  expect(bill.bomFormat).toBe('CycloneDX');
  const packages = productionPackages(new URL('../../', import.meta.url));
  const named = (list: readonly { name: string; version: string }[]) =>
    [...new Set(list.map(({ name, version }) => `${name}@${version}`))].sort();
  expect(named(bill.components)).toEqual(named(packages));
  const own = Object.entries(manifest.dependencies ?? {}).map(([name, version]) => `${name}@${version}`);
  expect(named(bill.components)).toEqual(expect.arrayContaining(own));
}, 60_000);

it('CI asks for known weaknesses and licences before it tests', () => {
  expect(readFileSync('.ci/run', 'utf8')).toMatch(/^npm run --silent audit:dependencies.*\n(?:.*\n)*.*npm test$/m);
});
