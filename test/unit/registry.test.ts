import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { errorCodes } from '../../shared/errors/catalogue.ts';
import { pathFieldsOf } from '../../shared/operations/paths.ts';
import { findOperation, operationNames, operations } from '../../shared/operations/registry.ts';
import { version } from '../../shared/platform/version.ts';
import { handlers } from '../../workers/operations/handlers.ts';

const repository = new URL('../../', import.meta.url);

function sourceFiles(folder: string): string[] {
  return readdirSync(new URL(folder, repository), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `${folder}/${file}`);
}

describe('the registry of operations', () => {
  it.each(operationNames)('%s stands in the files its name says, on both sides', (name) => {
    expect(operations[name].name).toBe(name);
    const path = name.replace('.', '/');
    expect(existsSync(new URL(`shared/operations/${path}.ts`, repository))).toBe(true);
    expect(existsSync(new URL(`workers/operations/${path}.ts`, repository))).toBe(true);
    expect(handlers[name]).toBeTypeOf('function');
  });

  it('gives each route to one operation', () => {
    const routes = operationNames.map((name) => {
      const { method, path } = operations[name].firecrest;
      return `${method} ${path}`;
    });
    expect(new Set(routes).size).toBe(routes.length);
  });

  it.each(operationNames)('%s names its path parameters and path fields as its input does', (name) => {
    const operation = findOperation(name);
    const fields = Object.keys(operation?.input.shape ?? {});
    const paths = operation === undefined ? [] : pathFieldsOf(operation);
    for (const { field, isLinkUnless } of paths) {
      expect(fields).toEqual(expect.arrayContaining([field, ...(isLinkUnless ?? [])]));
    }
    if (operation?.mutates) expect(operation.admission ?? 'before').toBe('before');
    expect(fields).toEqual(expect.arrayContaining(Object.values(operation?.firecrest.params ?? {})));
    expect(operation?.firecrest.path.includes('{system_name}')).toBe(operation?.scope === 'system');
  });

  it.each(operationNames)('%s answers 204 exactly when it has no body', (name) => {
    const operation = findOperation(name);
    expect(operation?.errors.every((code) => errorCodes.includes(code))).toBe(true);
    if (operation?.firecrest.method === 'GET') expect(operation.mutates).toBe(false);
    if (!operation?.mutates) expect(operation?.recover).toBe('rerun');
  });

  it('knows no operation by a name that objects inherit', () => {
    for (const name of ['constructor', 'toString', '__proto__', '']) expect(findOperation(name)).toBeUndefined();
  });
});

describe('the source', () => {
  it('has the version of the package', () => {
    const manifest = JSON.parse(readFileSync(new URL('package.json', repository), 'utf8')) as { version: string };
    expect(version).toBe(manifest.version);
  });

  it('does nothing when it is imported, but for the main files', async () => {
    const files = ['api', 'workers', 'shared'].flatMap(sourceFiles).filter((file) => !file.endsWith('/main.ts'));
    const countHandles = () => process.getActiveResourcesInfo().filter((kind) => kind !== 'Timeout').length;
    const handlesBefore = countHandles();
    for (const file of files) await import(pathToFileURL(fileURLToPath(new URL(file, repository))).href);
    // The file that was read last may still be being closed.
    await vi.waitFor(() => expect(countHandles()).toBeLessThanOrEqual(handlesBefore));
  }, 60_000); // with the SDKs there is much to read

  it('reads the environment in one place', () => {
    const readers = ['api', 'workers', 'shared']
      .flatMap(sourceFiles)
      .filter((file) => /^(?!\s*(\/?\*|\/\/)).*process\.env\b/m.test(readFileSync(new URL(file, repository), 'utf8')));
    expect(readers).toEqual(['shared/platform/start.ts']);
  });

  it('has no file past 400 lines', () => {
    const long = ['api', 'workers', 'shared', 'lab', 'bench']
      .flatMap(sourceFiles)
      .filter((file) => readFileSync(new URL(file, repository), 'utf8').split('\n').length > 401);
    expect(long).toEqual([]);
  });
});
