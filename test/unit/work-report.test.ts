/** What the programs on the login node report, read whatever a login script says before it. */
import { describe, expect, it } from 'vitest';
import { parseReport } from '../../workers/transfers/remote-work.ts';

const ended = `Welcome to the cluster!
directory /home/alice/.goldcrest-transfer-1
state ended 73 5125.30 5127.81
beat 2
bytes 134217728
out ${Buffer.from('sha256 0\n').toString('base64')}
err ${Buffer.from('dd: no space\n').toString('base64')}
end
`;

describe('the report of work', () => {
  it('tells how it ended, how long it took and what it said', () => {
    expect(parseReport(ended)).toEqual({
      phase: 'ended',
      exitCode: 73,
      seconds: 2.51,
      beat: 2,
      doneBytes: 134_217_728,
      readBytes: 0,
      jobId: null,
      tree: null,
      stdout: 'sha256 0\n',
      stderr: 'dd: no space\n',
    });
  });

  it.each(['absent', 'starting', 'running', 'elsewhere', 'lost'])('may be of %s work, which said nothing', (phase) => {
    expect(parseReport(`state ${phase}\nend\n`)).toMatchObject({
      phase,
      beat: 0,
      doneBytes: 0,
      stdout: '',
      stderr: '',
    });
  });

  it.each([
    ['cut short', ended.slice(0, -4)],
    ['of nobody', 'Welcome\n'],
    ['unknown', 'state well\nend\n'],
  ])('%s is not taken for one', (_title, text) => {
    expect(() => parseReport(text)).toThrow('The state of the work could not be read.');
  });
});
