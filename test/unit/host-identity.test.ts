import { describe, expect, it } from 'vitest';
import { parsePosixIdentity } from '../../workers/operations/status/posix-identity.ts';
import { parseHost } from '../../workers/schedulers/process/host-facts.ts';
import { parseProcessJobs, parseProcessMetadata } from '../../workers/schedulers/process/process-job.ts';

describe('who a user is', () => {
  // id (GNU coreutils) 9.1
  const output = '1005\n1005\ngcalice\ngcalice\n1005\x002000\0\ngcalice\0domain users\0';

  it('is read with group names that hold spaces', () => {
    expect(parsePosixIdentity(output)).toEqual({
      user: { id: '1005', name: 'gcalice' },
      group: { id: '1005', name: 'gcalice' },
      groups: [
        { id: '1005', name: 'gcalice' },
        { id: '2000', name: 'domain users' },
      ],
    });
  });

  it.each([
    ['', 'nothing'],
    ['1005\n1005\ngcalice\ngcalice\n\n', 'no groups'],
    ['1005\n1005\ngcalice\ngcalice\n1005\x002000\0\ngcalice\0', 'a name too few'],
    ['root\n0\nroot\nroot\n0\0\nroot\0', 'a word for a number'],
  ])('is not guessed from %j (%s)', (text) => {
    expect(parsePosixIdentity(text)).toBeUndefined();
  });
});

describe('the host as a node', () => {
  it('shows its processors, load and free memory', () => {
    const output =
      'host vm\ncpus 16\nload 1.98\nMemAvailable:   21534123 kB\ncpu cores\t: 4\nphysical id\t: 0\nphysical id\t: 1\nsiblings\t: 8\n';
    expect(parseHost(output)).toMatchObject({
      name: 'vm',
      state: ['IDLE'],
      cpus: 16,
      sockets: 2,
      cores: 4,
      threads: 2,
      cpuLoad: 1.98,
      freeMemory: 21029,
    });
  });

  it('shows nothing for what the machine does not tell, and is an error without its name', () => {
    expect(parseHost('host vm\ncpus 2\n')).toMatchObject({ cpus: 2, sockets: null, threads: null, cpuLoad: null });
    expect(() => parseHost('')).toThrow('could not be read');
  });
});

describe('jobs without a batch system', () => {
  const meta = (more: object) =>
    JSON.stringify({ name: 'n', workingDirectory: '/home/u', account: null, partition: 'local', ...more });
  const block = (id: string, facts: string) => `job ${id}\n${facts}meta ${meta({ name: `job ${id}\nmeta` })}\n`;

  it('are listed latest first, whatever their names hold', () => {
    const output = `now 1000\nhost vm\n${block('9', 'alive no\nsubmitted 1\nbegun 1 7 8\nended 2 0 COMPLETED\n')}${block('10', 'alive yes\nsubmitted 5\nbegun 5 9 9\n')}`;
    expect(
      parseProcessJobs(output, 'u').map(({ jobId, name, status, time }) => [jobId, name, status.state, time.elapsed]),
    ).toEqual([
      ['10', 'job 10\nmeta', 'RUNNING', 995],
      ['9', 'job 9\nmeta', 'COMPLETED', 1],
    ]);
    expect(parseProcessJobs('now 1\nhost vm\n', 'u')).toEqual([]);
  });

  it('show their script and where their files are', () => {
    const files = { standardInput: '/dev/null', standardOutput: 'o-%j', standardError: null };
    expect(parseProcessMetadata(`meta ${meta(files)}\nscript\n#!/bin/sh\nscript\n`, '7')).toEqual({
      jobId: '7',
      script: '#!/bin/sh\nscript\n',
      standardInput: '/dev/null',
      standardOutput: '/home/u/o-7',
      standardError: '/home/u/o-7',
    });
  });

  it('show null for what an earlier version did not write down, and for a script that is too long', () => {
    expect(parseProcessMetadata(`meta ${meta({})}\n`, '7')).toEqual({
      jobId: '7',
      script: null,
      standardInput: null,
      standardOutput: null,
      standardError: null,
    });
    expect(parseProcessMetadata('absent\n', '7')).toBeUndefined();
  });
});
