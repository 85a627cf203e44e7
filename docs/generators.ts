/**
 * The pages that are written from code and never by hand. `npm run generate` writes them; a unit test and
 * `npm run generate -- --check` fail when one differs from what the code says.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { authorizationModel } from '../shared/authorization/authorization-model.ts';
import { configurationPage, configurationSchemaFile } from './generate-configuration.ts';
import { decisionsPage } from './generate-decisions.ts';
import { errorsPage } from './generate-errors.ts';
import { metricsPage } from './generate-metrics.ts';

export interface Generator {
  /** Path of the page from the root of the repository. */
  file: string;
  /** The whole text of the page. */
  generate(): string;
}

export const generators: Generator[] = [
  { file: 'docs/configuration.md', generate: configurationPage },
  { file: 'docs/configuration.schema.json', generate: configurationSchemaFile },
  { file: 'docs/decisions/README.md', generate: decisionsPage },
  { file: 'docs/errors.md', generate: errorsPage },
  { file: 'docs/metrics.md', generate: metricsPage },
  { file: 'deploy/openfga/model.json', generate: () => `${JSON.stringify(authorizationModel, null, 2)}\n` },
];

/** Paths of the pages under `root` that are missing or differ from what their generator gives. */
export function stalePages(root: string): string[] {
  return generators.filter(({ file, generate }) => current(join(root, file)) !== generate()).map(({ file }) => file);
}

/** Writes every page under `root`; gives the paths. */
export function writePages(root: string): string[] {
  for (const { file, generate } of generators) writeFileSync(join(root, file), generate());
  return generators.map(({ file }) => file);
}

function current(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // a page that is not there is stale
  }
}
