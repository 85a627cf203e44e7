import { describe, expect, it } from 'vitest';
import { baseState, exitStatusOf } from '../../workers/schedulers/pbs/job-states.ts';
import { parsePbsJobId, shortJobId } from '../../workers/schedulers/pbs/pbs-job-id.ts';
import { objectOf, readPbsDocuments, textOf } from '../../workers/schedulers/pbs/pbs-json.ts';
import { readReservations } from '../../workers/schedulers/pbs/pbs-rstat.ts';
import {
  durationSeconds,
  epochSeconds,
  mebibytes,
  selectTime,
  walltime,
} from '../../workers/schedulers/pbs/pbs-values.ts';
import { readNodes } from '../../workers/schedulers/pbs/pbsnodes.ts';
import { readJobs } from '../../workers/schedulers/pbs/qstat-jobs.ts';

const plain = (value: unknown): unknown => {
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, item]) => [name, plain(item)]));
  return Array.isArray(value) ? value.map(plain) : value;
};

describe('the JSON of PBS is read', () => {
  it.each(['1e5', 'inf', 'nan', '007', '0x1f', '12345678901234567890', '1.50', '+3'])(
    'with the name %s as it is, though it is printed like a number',
    (name) => {
      const [document] = readPbsDocuments(
        `{\n    "Jobs":{\n        "1.pbs":{\n            "Job_Name":${name}\n        }\n    }\n}\n`,
      );
      expect(plain(document)).toEqual({ Jobs: { '1.pbs': { Job_Name: name } } });
    },
  );

  it('with quotes and backslashes that were left as they are', () => {
    const output = [
      '{',
      '  "A":"say "hi", he "said"",',
      '  "B":"C:\\Users\\x",',
      `  "C":"it\\'s a\\,b",`,
      '  "D":"a\\nb"',
      '}',
    ];
    const [document] = readPbsDocuments(output.join('\n'));
    expect(plain(document)).toEqual({ A: 'say "hi", he "said"', B: 'C:\\Users\\x', C: "it's a,b", D: 'a\nb' });
  });

  it('with escapes and lists as cJSON prints them', () => {
    const [document] = readPbsDocuments(
      '{\n\t"a":\t"\\"x\\" \\\\ \\u00fc",\n\t"jobs":\t["1.pbs", "2.pbs"],\n\t"none":\t{\n\t}\n}\n',
    );
    expect(plain(document)).toEqual({ a: '"x" \\ ü', jobs: ['1.pbs', '2.pbs'], none: {} });
  });

  it('with a name that comes twice: objects are joined, of texts the last one counts', () => {
    const output = '{\n"R":{\n"a":"1"\n},\n"x":"1",\n"R":{\n"b":"2"\n},\n"x":"2"\n}';
    expect(plain(readPbsDocuments(output)[0])).toEqual({ R: { a: '1', b: '2' }, x: '2' });
  });

  it('document by document, without what other programs printed around them', () => {
    const output = 'Warning: motd\n{\n"a":"1"\n}\nnoise\n{\n"b":[\n"x",\n"y"\n]\n}\ntrailing\n';
    expect(readPbsDocuments(output).map(plain)).toEqual([{ a: '1' }, { b: ['x', 'y'] }]);
    expect(readPbsDocuments('')).toEqual([]);
  });

  it('without a name of it reaching what objects have from birth', () => {
    const [document = new Map()] = readPbsDocuments('{\n"__proto__":{\n"x":"1"\n}\n}');
    expect(textOf(objectOf(document, '__proto__'), 'x')).toBe('1');
    expect(textOf(document, 'constructor')).toBeNull();
  });

  it.each([
    '{\n"a":{\n"b":"1"\n}\n',
    '{\n"a":"1",\n',
    '{\nnot a member\n}\n',
    '{\n"a":[1,\n}\n',
    '{\n"l":[\n{\n}\n]\n}',
  ])('or refused: %j', (output) => {
    expect(() => readPbsDocuments(output)).toThrow('could not be read');
  });
});

describe('values of PBS', () => {
  it('are read as what they mean', () => {
    expect(['Tue Oct  4 21:23:20 2022', '1664911414', 'UNKNOWN', ''].map(epochSeconds)).toEqual([
      1664918600,
      1664911414,
      null,
      null,
    ]);
    expect(['26:04:05', '04:05', '90', 'x', null].map(durationSeconds)).toEqual([93_845, 245, 90, null, null]);
    expect(['395gb', '4194304kb', '2tb', '0b', '16mw', 'x', null].map(mebibytes)).toEqual([
      404_480,
      4_096,
      2_097_152,
      0,
      128,
      null,
      null,
    ]);
  });

  it('are written as it reads them', () => {
    expect([walltime(93_845), walltime(59)]).toEqual(['26:04:05', '00:00:59']);
    expect(selectTime(Date.UTC(2022, 9, 4, 21, 23, 20, 999))).toBe('202210042123.20');
  });

  it('that are job ids are told from others, and lose the name of the server that answers', () => {
    expect(parsePbsJobId('12[3].pbs.example.org')).toEqual({ sequence: 12, index: 3, server: 'pbs.example.org' });
    expect(parsePbsJobId('12[]')).toEqual({ sequence: 12, index: 'array', server: null });
    expect(['abc', '12+1', '1_2', '1,2', '-1', '12.'].map(parsePbsJobId)).toEqual(Array(6).fill(undefined));
    expect(shortJobId('12[].desched1', 'desched1.hsn.example.org')).toBe('12[]');
    expect(shortJobId('12.other', 'pbs')).toBe('12.other');
  });
});

describe('the state of a PBS job', () => {
  const state = { substate: null, exitStatus: null, usedSeconds: null, limitSeconds: null };

  it.each([
    ['Q', 'PENDING'],
    ['H', 'PENDING'],
    ['W', 'PENDING'],
    ['T', 'PENDING'],
    ['R', 'RUNNING'],
    ['B', 'RUNNING'],
    ['E', 'RUNNING'],
    ['S', 'SUSPENDED'],
    ['U', 'SUSPENDED'],
    ['M', 'UNKNOWN'],
    ['?', 'UNKNOWN'],
  ])('%s is %s', (letter, word) => {
    expect(baseState({ ...state, letter, exitStatus: 0 })).toBe(word);
  });

  it.each([
    ['success', { substate: 92, exitStatus: 0 }, 'COMPLETED'],
    ['success, in a version that hides the substate', { exitStatus: 0 }, 'COMPLETED'],
    ['an exit code', { substate: 93, exitStatus: 1 }, 'FAILED'],
    ['a deletion, though the job ended well on SIGTERM', { substate: 91, exitStatus: 0 }, 'CANCELLED'],
    ['a deletion before its start', { substate: 91 }, 'CANCELLED'],
    ['the limit of time, as OpenPBS says it', { substate: 93, exitStatus: -29 }, 'TIMEOUT'],
    ['the limit of time, by signal', { substate: 93, exitStatus: 271, usedSeconds: 61, limitSeconds: 60 }, 'TIMEOUT'],
    ['SIGTERM within the limit', { substate: 93, exitStatus: 271, usedSeconds: 6, limitSeconds: 60 }, 'FAILED'],
    ['too much memory', { substate: 93, exitStatus: -27 }, 'OUT_OF_MEMORY'],
    ['a start that failed', { substate: 93, exitStatus: -1 }, 'FAILED'],
  ])('that ended with %s', (_what, more, word) => {
    for (const letter of ['F', 'X']) expect(baseState({ ...state, ...more, letter })).toBe(word);
  });

  it('shows the signal in its exit status', () => {
    expect([0, 7, 128, 137, 192, 193, 271, 265, 320, -29].map((code) => exitStatusOf(code).interruptSignal)).toEqual([
      0, 0, 0, 9, 64, 0, 15, 9, 64, 0,
    ]);
  });
});

describe('what PBS shows', () => {
  it('of a job that runs on two nodes', () => {
    // As Metacentrum's PBS 19.0.0 prints it, shortened.
    const output = `{
    "timestamp":1664911414,
    "pbs_version":"19.0.0",
    "pbs_server":"meta-pbs.metacentrum.cz",
    "Jobs":{
        "12860476.meta-pbs.metacentrum.cz":{
            "Job_Name":"swrap_01",
            "Job_Owner":"alice@META",
            "job_state":"R",
            "queue":"charon_2h",
            "server":"meta-pbs.metacentrum.cz",
            "ctime":"Tue Oct  4 19:23:20 2022",
            "stime":"Tue Oct  4 19:23:24 2022",
            "exec_host":"charon24/0*2+charon21/0*2+charon24/1",
            "Join_Path":"oe",
            "Output_Path":"charon.nti.tul.cz:/home/alice/swrap_01.o12860476",
            "Error_Path":"charon.nti.tul.cz:/home/alice/swrap_01.e12860476",
            "Priority":0,
            "Resource_List":{
                "ncpus":4,
                "walltime":"00:10:00"
            },
            "project":"_pbs_project_default",
            "Variable_List":{
                "PBS_O_WORKDIR":"/home/alice/work"
            }
        }
    }
}`;
    const [found, ...more] = readPbsDocuments(output).flatMap(readJobs);
    expect(more).toEqual([]);
    expect(found).toMatchObject({
      key: null,
      job: {
        jobId: '12860476',
        user: 'alice',
        status: { state: 'RUNNING', stateReason: null, exitCode: null },
        time: { submit: 1664911400, start: 1664911404, end: null, elapsed: 10, limit: 600 },
        nodes: 'charon24,charon21',
        allocationNodes: 2,
        cpus: 4,
        account: null,
        workingDirectory: '/home/alice/work',
      },
      metadata: {
        standardOutput: '/home/alice/swrap_01.o12860476',
        standardError: '/home/alice/swrap_01.o12860476',
        script: null,
      },
    });
  });

  it('of a node it does not know is no node', () => {
    const [document = new Map()] = readPbsDocuments('{\n"nodes":{\n"pbs":{\n"Error":"Unknown node "\n}\n}\n}');
    expect(readNodes(document)).toEqual([]);
  });

  it('of reservations without a time is none', () => {
    expect(readReservations('')).toEqual([]);
    expect(readReservations('Resv ID: R1.pbs\nqueue = R1\nreserve_state = RESV_UNCONFIRMED\n')).toEqual([]);
  });
});
