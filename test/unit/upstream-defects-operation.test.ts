/** FirecREST v2's faults of operation, and that every one of its 22 known defects has a test that bears its number. */
import { readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { listen } from '../../api/http/listen.ts';
import { openInternalPort } from '../../workers/runtime/internal-port.ts';
import { createLocalGate, createTestApp } from './api-fixture.ts';

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

// Python is used where it is there; `test/integration/pull-program.test.ts` runs the same without it.
it('defect 21: what a worker has run on a cluster fetches no packages and names no version of an interpreter', () => {
  const files = readdirSync('workers', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  expect(files.length).toBeGreaterThan(100);
  const naming = /\b(?:pip3?|pipx|conda|pypi|npm|npx|python\d*\.\d[\d.]*|perl\d[\d.]*)\b/i;
  expect(files.filter((name) => naming.test(readFileSync(join('workers', name), 'utf8')))).toEqual([]);
});

it('defect 21: API and worker are reached by IPv6 as by IPv4, where the machine has both', async () => {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []);
  const log = pino({ level: 'silent' });
  for (const host of ['127.0.0.1', '::1'].filter((address) => addresses.includes(address))) {
    const { gate } = createLocalGate(() => ({ state: 'completed', result: { entries: [] } }));
    const api = await listen({ app: createTestApp(gate), host, port: 0, log });
    const named = host.includes(':') ? `[${host}]` : host;
    expect((await fetch(`http://${named}:${api.port}/livez`)).status).toBe(200);
    await api.close(100);
    const worker = await openInternalPort({ host, port: 0, url: null, log });
    const { url } = worker.open('GET', 10_000, (_request, response) => response.end('here'));
    expect(await (await fetch(url)).text()).toBe('here');
    await worker.close();
  }
});

it('each defect has a test that is named after it', () => {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.test.ts'));
  const texts = files.map((name) => readFileSync(join('test', name), 'utf8')).join('\n');
  const titles = [...texts.matchAll(/['"`]defects? ([\d, and]+):/g)].map(([, numbers]) => numbers ?? '');
  const named = new Set(titles.flatMap((numbers) => numbers.match(/\d+/g) ?? []).map(Number));
  const all = Array.from({ length: 22 }, (_, index) => index + 1);
  expect(all.filter((number) => !named.has(number))).toEqual([]);
});
