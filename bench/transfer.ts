/**
 * `npm run bench:transfer`: what moves bulk bytes, against plain curl, against one connection of a capped link and against
 * a raw ssh2 stream, in one run on one machine. Writes docs/performance-transfers.md.
 */
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startLab } from '../lab/lab.ts';
import { transferCells } from './transfer-cells.ts';
import { besideTargets, judgeTransfers, transferLine, transferPage } from './transfer-page.ts';

const help = `Usage: npm run bench:transfer -- [options]

  --quick         smaller files, one round, and docs/performance-transfers.md is left alone
  --only NAMES    some of ${Object.keys(transferCells).join(', ')}, by commas; the page is left alone
  --help          this text
`;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean' }, only: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help) return print(help);
  const isQuick = values.quick === true;
  const names = values.only?.split(',') ?? Object.keys(transferCells);
  const rows = [];
  for (const [name, cell] of Object.entries(transferCells)) {
    if (!names.includes(name)) continue;
    // A lab of its own for each: the store keeps what was deleted for hours, and would be full before the last.
    const lab = await startLab({ parts: ['redis', 'sshd', 'oidc', 's3', 'slurm'], people: ['alice', 'service'] });
    try {
      for (const row of await cell(lab, isQuick)) {
        rows.push(row);
        print(transferLine(row));
      }
    } finally {
      await lab.stop();
    }
  }
  for (const { text, isMet } of judgeTransfers(rows)) print(`${isMet ? 'met    ' : 'NOT MET'} ${text}`);
  for (const text of besideTargets(rows)) print(`        ${text}`);
  if (isQuick || values.only !== undefined) return;
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, Node ${process.version}`;
  writeFileSync(
    fileURLToPath(new URL('../docs/performance-transfers.md', import.meta.url)),
    transferPage({ machine, rows }),
  );
  print('written: docs/performance-transfers.md');
}

await main();
