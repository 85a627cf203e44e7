/**
 * One lab for all test files of the tiers that need it: started before the first, its facts handed to the tests
 * (`inject('lab')`), stopped after the last. GOLDCREST_LAB_PARTS starts fewer parts (`redis,sshd`, or `none`);
 * GOLDCREST_LAB names the lab.json of a lab that is already up (`npm run lab`), which is then used and left running.
 */
import { readFileSync } from 'node:fs';
import type { TestProject } from 'vitest/node';
import { type Lab, partNames, startLab } from '../lab/lab.ts';
import { type LabFacts, labFacts } from '../lab/lab-facts.ts';
import { reapDeadLabs } from '../lab/lab-folder.ts';
import { runCommand } from '../lab/run-command.ts';

declare module 'vitest' {
  interface ProvidedContext {
    lab: LabFacts;
  }
}

interface SharedLab {
  lab: Promise<Lab>;
  tiers: number;
}

/** Each tier loads this file anew, so what they share hangs on the process. */
const registry = globalThis as { goldcrestSharedLab?: SharedLab; goldcrestBuild?: Promise<unknown> };

/** Runs once for each tier; resolves to what is to be done after the tier. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const building = project.name === 'integration' ? undefined : buildOnce();
  const running = process.env.GOLDCREST_LAB;
  if (running !== undefined) {
    await building;
    project.provide('lab', JSON.parse(readFileSync(running, 'utf8')) as LabFacts);
    return async () => {};
  }
  const shared = registry.goldcrestSharedLab ?? { lab: startLab({ parts: wantedParts(), loadUsers: 0 }), tiers: 0 };
  registry.goldcrestSharedLab = shared;
  shared.tiers += 1;
  const [lab] = await Promise.all([shared.lab, building]);
  // With fewer parts, a test that reads the facts of another one fails by itself, naming it.
  project.provide('lab', labFacts(lab) as LabFacts);
  return async () => {
    shared.tiers -= 1;
    if (shared.tiers > 0) return;
    delete registry.goldcrestSharedLab;
    await lab.stop();
    // Labs that a test file started and could not stop, since its process was ended.
    reapDeadLabs();
  };
}

/**
 * What the brokers of the tests run: a process that compiles its sources itself takes twice the time to start. Only what has
 * changed is written; that is known of this very command, whoever ran it last, and of no other.
 */
function buildOnce(): Promise<unknown> {
  registry.goldcrestBuild ??= runCommand('npm', ['run', '--silent', 'build'], { timeoutMs: 300_000 });
  return registry.goldcrestBuild;
}

function wantedParts() {
  const list = process.env.GOLDCREST_LAB_PARTS;
  return partNames.filter((name) => list === undefined || list.split(',').includes(name));
}
