/**
 * Checks what is installed for production: known weaknesses, as the registry tells them, and licences. Exit status: 0 all
 * well; 1 something was found; 2 the registry does not tell weaknesses, so nothing is known of them. `--allow-unchecked`
 * makes that 0, and says it all the same.
 */
import { spawnSync } from 'node:child_process';
import { findLicenceProblems, productionPackages } from './licences.ts';

interface Report {
  metadata?: { vulnerabilities: Record<string, number> };
  message?: string;
}

/** High and critical ones; null with the reason where the registry does not answer. */
function findWeaknesses(): { count: number; detail: string } | { count: null; detail: string } {
  const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8', shell: false });
  let report: Report = {};
  try {
    report = JSON.parse(stdout) as Report;
  } catch {
    return { count: null, detail: 'npm audit printed no report' };
  }
  const counts = report.metadata?.vulnerabilities;
  if (counts === undefined) return { count: null, detail: report.message ?? 'npm audit gave no counts' };
  return { count: (counts.high ?? 0) + (counts.critical ?? 0), detail: JSON.stringify(counts) };
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const root = new URL('..', import.meta.url);
const packages = productionPackages(root);
const problems = findLicenceProblems(packages);
say(`licences: ${packages.length} packages for production, ${problems.length} problems`);
for (const problem of problems) say(`  ${problem}`);

const weaknesses = findWeaknesses();
if (weaknesses.count === null) say(`weaknesses: NOT CHECKED: ${weaknesses.detail}`);
else say(`weaknesses: ${weaknesses.count} high or critical of ${weaknesses.detail}`);

const isUnchecked = weaknesses.count === null && !process.argv.includes('--allow-unchecked');
if (problems.length > 0 || (weaknesses.count ?? 0) > 0) process.exitCode = 1;
else if (isUnchecked) process.exitCode = 2;
