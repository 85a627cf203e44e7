import { describe, expect, it } from 'vitest';
import { fieldNamesOf, properNames } from '../../api/http/spellings.ts';
import { jobDescription } from '../../shared/operations/compute/job.ts';
import { noResources } from '../../shared/operations/compute/job-resources.ts';

const base = { workingDirectory: '/home/a', script: '#!/bin/sh\n' };
const names = fieldNamesOf(jobDescription);
const parse = (more: Record<string, unknown>) => jobDescription.parse(properNames(names, { ...base, ...more }));
const problems = (more: Record<string, unknown>) =>
  jobDescription
    .safeParse(properNames(names, { ...base, ...more }))
    .error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`);

describe('what a job asks for', () => {
  it('is nothing where nothing is said, so that the directives of the script count', () => {
    expect(parse({})).toMatchObject(noResources);
    expect(Object.values(noResources).every((value) => value === null)).toBe(true);
  });

  it('is read in camelCase and in snake_case, numbers as text too', () => {
    expect(
      parse({ tasks_per_node: '4', timeLimitSeconds: 60, exclusive: 'true', mail_type: 'END,fail' }),
    ).toMatchObject({ tasksPerNode: 4, timeLimitSeconds: 60, exclusive: true, mailType: ['end', 'fail'] });
  });

  it.each([
    [{ nodes: 0 }, 'nodes must be at least 1'],
    [{ tasks: 1.5 }, 'tasks must be a whole number'],
    [{ timeLimitSeconds: 'tomorrow' }, 'timeLimitSeconds must be a whole number'],
    [{ array: '1-3;rm' }, 'array must be a list of indices such as 1-10 or 1,3,5-9:2%4'],
    [{ dependency: 'afterok:1 --foo' }, 'dependency must be such as afterok:12:13,afterany:14'],
    [{ qos: 'a b' }, 'qos must be one word'],
    [{ mailType: ['never'] }, 'mailType.0 must be of begin, end, fail'],
    [
      { memoryPerNodeBytes: 1, memoryPerCpuBytes: 1 },
      'memoryPerCpuBytes send either memoryPerNodeBytes or memoryPerCpuBytes, not both',
    ],
  ])('refuses %j and names the field', (more, problem) => {
    expect(problems(more)).toEqual([problem]);
  });

  it("takes PSI/J's names for ours", () => {
    const parsed = parse({
      resources: {
        node_count: 1,
        process_count: 4,
        processes_per_node: 4,
        cpu_cores_per_process: 2,
        gpu_cores_per_process: 1,
        exclusive_node_use: false,
        memory: 1024,
      },
      attributes: {
        duration: 600,
        queue_name: 'debug',
        account: 'p1',
        reservation_id: 'r1',
        custom_attributes: { 'slurm.constraint': 'gpu', 'slurm.qos': 'high' },
      },
      stdout_path: '/home/a/out',
    });
    expect(parsed).toMatchObject({
      ...{ nodes: 1, tasks: 4, tasksPerNode: 4, cpusPerTask: 2, gpusPerTask: 1, exclusive: false },
      ...{ memoryPerNodeBytes: 1024, timeLimitSeconds: 600, partition: 'debug', account: 'p1', reservation: 'r1' },
      ...{ constraints: 'gpu', qos: 'high', standardOutput: '/home/a/out' },
    });
    expect(parsed).not.toHaveProperty('resources.node_count');
    expect(jobDescription.parse(parsed)).toEqual(parsed);
  });

  it.each([
    [{ resources: { node_count: '1' } }, 'resources.node_count must be a whole number'],
    [{ resources: { disk: 1 } }, 'resources holds what is not supported: disk'],
    [
      { attributes: { custom_attributes: { 'lsf.x': 'y' } } },
      'attributes.custom_attributes holds what is not supported: lsf.x',
    ],
    [{ nodes: 2, resources: { node_count: 3 } }, 'resources.node_count contradicts nodes'],
    [
      { resources: { node_count: 2, memory: 1 } },
      'resources.memory is for the whole job, so it needs node_count 1; for more nodes send memoryPerNodeBytes',
    ],
  ])("refuses what has no meaning here in PSI/J's %j and names the field", (more, problem) => {
    expect(problems(more)).toEqual([problem]);
  });
});
