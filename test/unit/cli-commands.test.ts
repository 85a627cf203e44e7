/** How the programs of operators read their words: one way for all of them. */
import { describe, expect, it } from 'vitest';
import { runAudit } from '../../cli/audit.ts';
import { runSealing } from '../../cli/sealing.ts';
import { runSshCa } from '../../cli/ssh-ca.ts';

const programs = { audit: runAudit, sealing: runSealing, 'ssh-ca': runSshCa };

describe.each(Object.entries(programs))('goldcrest %s', (name, run) => {
  const tried = async (args: readonly string[]) => {
    const said = { out: '', err: '' };
    const status = await run(args, {
      env: {},
      print: (line) => {
        said.out += line;
      },
      complain: (line) => {
        said.err += line;
      },
    });
    return { status, ...said };
  };

  it('prints its help when asked to, and where an option is none of its own', async () => {
    expect(await tried(['--help'])).toMatchObject({
      status: 0,
      out: expect.stringContaining(`goldcrest ${name}`),
      err: '',
    });
    expect(await tried(['--no-such-option'])).toMatchObject({ status: 2, out: expect.stringContaining('Usage:') });
  });

  it.each([[[]], [['no-such-command']], [['toString']], [['status', 'more']], [['export', 'more']], [['init']]])(
    'takes no words that are none of a command: %j',
    async (args) => {
      expect(await tried(args)).toMatchObject({ status: 2, out: '', err: expect.stringContaining('Usage:') });
    },
  );

  it('ends with 78 where the configuration is missing', async () => {
    const first = { audit: 'export', sealing: 'status', 'ssh-ca': 'public-key' }[name] ?? '';
    expect(await tried([first])).toMatchObject({ status: 78, err: expect.stringContaining('GOLDCREST_CONFIG') });
  });
});
