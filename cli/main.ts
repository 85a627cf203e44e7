#!/usr/bin/env node
import { version } from '../shared/platform/version.ts';
/** The program of operators: `goldcrest authz …`, `audit …`, `sealing …`, `ssh-ca …`. Wiring only. */
import { runAudit } from './audit.ts';
import { runAuthz } from './authz.ts';
import { programHelp } from './help.ts';
import { runSealing } from './sealing.ts';
import { runSshCa } from './ssh-ca.ts';

const [area, ...words] = process.argv.slice(2);
const io = {
  env: process.env,
  print: (line: string) => process.stdout.write(`${line}\n`),
  complain: (line: string) => process.stderr.write(`${line}\n`),
};
if (area === 'authz') process.exitCode = await runAuthz(words, io);
else if (area === 'audit') process.exitCode = await runAudit(words, io);
else if (area === 'sealing') process.exitCode = await runSealing(words, io);
else if (area === 'ssh-ca') process.exitCode = await runSshCa(words, io);
else if (area === 'help' || area === '--help' || area === '-h') io.print(programHelp);
else if (area === '--version') io.print(version);
else {
  io.complain(area === undefined ? programHelp : `Unknown command: ${area}\n\n${programHelp}`);
  process.exitCode = 2;
}
