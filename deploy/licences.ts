/** The licences of the packages that an installation for production has, and which of them may be there. */
import { existsSync, readFileSync } from 'node:fs';

export interface InstalledPackage {
  /** Path below the root, `node_modules/…`. */
  path: string;
  name: string;
  version: string;
  /** SPDX expression; null where the package names none. */
  licence: string | null;
}

/** Permissive ones, that go with Apache-2.0. */
const allowed = new Set([
  ...['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'CC0-1.0', 'ISC', 'MIT', 'Unlicense'],
]);

interface LockFile {
  packages: Record<
    string,
    { dev?: boolean; devOptional?: boolean; optional?: boolean; license?: string; version?: string }
  >;
}

/** From the lock file; the packages' own files where it does not say. Those for other machines only are not looked at. */
export function productionPackages(root: URL): InstalledPackage[] {
  const lock = JSON.parse(readFileSync(new URL('package-lock.json', root), 'utf8')) as LockFile;
  return Object.entries(lock.packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional)
    .filter(([path, { optional }]) => !optional || existsSync(new URL(`${path}/`, root)))
    .map(([path, { license, version = '' }]) => ({
      path,
      name: path.split('node_modules/').at(-1) ?? path,
      version,
      licence: license ?? licenceIn(new URL(`${path}/`, root)),
    }));
}

function licenceIn(folder: URL): string | null {
  try {
    const manifest = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')) as Record<string, unknown>;
    const old = manifest.licenses as { type?: string }[] | undefined;
    return typeof manifest.license === 'string' ? manifest.license : (old?.[0]?.type ?? null);
  } catch {
    return null; // not installed
  }
}

/** One line for each package whose licence is unknown or not allowed. Of alternatives one must be. */
export function findLicenceProblems(packages: readonly Pick<InstalledPackage, 'path' | 'licence'>[]): string[] {
  const isAllowed = (licence: string): boolean =>
    licence
      .replaceAll(/[()]/g, '')
      .split(' OR ')
      .some((one) => one.split(' AND ').every((name) => allowed.has(name)));
  return packages
    .filter(({ licence }) => licence === null || !isAllowed(licence))
    .map(({ path, licence }) => `${path}: ${licence ?? 'names no licence'}`);
}
