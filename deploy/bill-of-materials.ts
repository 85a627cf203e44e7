/**
 * Prints the bill of materials (CycloneDX) of an installation for production. npm makes it of all packages and we take out
 * what is for development: told to leave that out itself, npm 11 loses packages that development uses too.
 */
import { execFileSync } from 'node:child_process';
import { productionPackages } from './licences.ts';

interface Bill {
  components: { 'bom-ref': string; name: string; version: string; scope?: string }[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

const root = new URL('../', import.meta.url);
const command = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'];
const printed = execFileSync('npm', command, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 2 ** 20 });
const bill = JSON.parse(printed) as Bill & Record<string, unknown>;
const wanted = new Set(productionPackages(root).map(({ name, version }) => `${name}@${version}`));
const components = bill.components
  .filter(({ name, version }) => wanted.has(`${name}@${version}`))
  .map((component) => ({ ...component, scope: 'required' }));
const kept = new Set(components.map((component) => component['bom-ref']));
const own = (bill as { metadata?: { component?: { 'bom-ref'?: string } } }).metadata?.component?.['bom-ref'];
const dependencies = bill.dependencies
  .filter(({ ref }) => kept.has(ref) || ref === own)
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => kept.has(each)) }));
process.stdout.write(`${JSON.stringify({ ...bill, components, dependencies }, null, 2)}\n`);
