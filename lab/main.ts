/** `npm run lab`: starts the lab, prints every address, credential and file, and stays up until it is stopped. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type LabOptions, type PartName, partNames, startLab } from './lab.ts';
import { LabError } from './lab-error.ts';
import { labFacts } from './lab-facts.ts';

const help = `Usage: npm run lab -- [options]

Starts the real parts that Goldcrest works with on this machine, on free loopback ports, in a temporary folder.
Ctrl-C stops them and removes the folder.

  --parts LIST      only these, separated by commas: ${partNames.join(', ')}
  --load-users N    also N users gcload001, gcload002, … (100 at most)
  --help            this text
`;

function parseOptions(args: string[]): LabOptions | undefined {
  const options = { parts: { type: 'string' }, 'load-users': { type: 'string' }, help: { type: 'boolean' } } as const;
  const { values } = parseArgs({ args, options });
  if (values.help) return undefined;
  const loadUsers = Number(values['load-users'] ?? 0);
  if (!Number.isInteger(loadUsers) || loadUsers < 0) throw new LabError('NotStarted', '--load-users takes a number');
  return { parts: parseParts(values.parts), loadUsers };
}

function parseParts(list: string | undefined): PartName[] {
  const names = list?.split(',') ?? [...partNames];
  const unknown = names.filter((name) => !partNames.some((part) => part === name));
  if (unknown.length > 0)
    throw new LabError('NotStarted', `No such part: ${unknown.join()}; there are ${partNames.join()}`);
  return partNames.filter((part) => names.includes(part));
}

/** A line for each fact, and one for each object that holds nothing but plain values. */
function factLines(value: unknown, path: string): string[] {
  if (isPlain(value)) return [`${path.padEnd(24)} ${String(value)}`];
  const members = Object.entries(value as object);
  const isRow = path.includes('.') && members.every(([, member]) => isPlain(member));
  if (isRow) return [`${path.padEnd(24)} ${members.map(([name, member]) => `${name}=${member}`).join(' ')}`];
  return members.flatMap(([name, member]) => factLines(member, path === '' ? name : `${path}.${name}`));
}

function isPlain(value: unknown): boolean {
  return typeof value !== 'object' || value === null || (Array.isArray(value) && value.every(isPlain));
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  if (!options) return print(help);
  const startedAt = performance.now();
  const onPartStarted = (part: PartName, tookMs: number) =>
    print(`${part} serves after ${(tookMs / 1000).toFixed(1)} s`);
  const lab = await startLab({ ...options, onPartStarted });
  const facts = labFacts(lab);
  const factsFile = join(lab.folder, 'lab.json');
  writeFileSync(factsFile, JSON.stringify(facts, undefined, 2), { mode: 0o600 });
  print(['', ...factLines(facts, ''), ''].join('\n'));
  print(`The lab is up after ${((performance.now() - startedAt) / 1000).toFixed(1)} s. The same as JSON: ${factsFile}`);
  print('Ctrl-C stops it.');
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
