/** How staged files are named and cut into parts, whatever their users, names and sizes are. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { transferJobOf, transferLogOf } from '../../shared/operations/transfer/transfer-job.ts';
import { isJobNumber } from '../../shared/platform/job-numbers.ts';
import { bucketName, objectKey, qualifiedBucket } from '../../shared/staging/bucket-name.ts';
import { objectBytesMax, planParts } from '../../shared/staging/part-plan.ts';
import { sentPartBytes } from '../../workers/transfers/staged-transfer.ts';

const mebi = 2 ** 20;

describe('the parts of a file', () => {
  it('are as many as clients count from size and part size, within the bounds of S3, at most 1,000 while parts can grow', () => {
    const size = fc.oneof(fc.integer({ min: 1, max: 1e9 }), fc.integer({ min: 1, max: objectBytesMax }));
    fc.assert(
      fc.property(size, fc.integer({ min: 1, max: 5 * 2 ** 30 }), (bytes, wished) => {
        const { partSizeBytes, partsCount } = planParts(bytes, wished);
        expect(partsCount).toBe(Math.ceil(bytes / partSizeBytes));
        expect(partSizeBytes).toBeGreaterThanOrEqual(Math.min(5 * 2 ** 30, Math.max(5 * mebi, wished)));
        expect(partSizeBytes).toBeLessThanOrEqual(5 * 2 ** 30);
        expect(partsCount).toBeLessThanOrEqual(bytes > 5_000 * 2 ** 30 ? 1_024 : 1_000);
      }),
    );
  });

  it('of an empty file are one empty part', () => {
    expect(planParts(0, 8 * mebi)).toEqual({ partSizeBytes: 8 * mebi, partsCount: 1 });
  });

  it('that a cluster sends fill its lanes in each of as few rounds as their bound allows', () => {
    const lanesOf = fc.integer({ min: 1, max: 32 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 40 }), lanesOf, (bytes, lanes) => {
        const part = sentPartBytes(bytes, lanes);
        expect([part % mebi, part >= 64 * mebi, part <= 128 * mebi]).toEqual([0, true, true]);
        const rounds = Math.ceil(bytes / part / lanes);
        expect(rounds).toBeLessThanOrEqual(Math.max(1, Math.ceil(bytes / (lanes * 128 * mebi))));
      }),
    );
    expect([600, 1_024, 1_500].map((size) => sentPartBytes(size * mebi, 8) / mebi)).toEqual([75, 128, 94]);
  });
});

describe('the bucket of a user', () => {
  it('is the username where S3 allows it', () => {
    expect(['alice', 'gc-load001', 'a1b'].map((name) => bucketName(name, ''))).toEqual(['alice', 'gc-load001', 'a1b']);
    expect(bucketName('alice', 'site-')).toBe('site-alice');
  });

  it('is a legal name for any username, and no two users share one', () => {
    const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 80, unit: 'binary' }), {
      minLength: 2,
      maxLength: 5,
    });
    fc.assert(
      fc.property(names, fc.constantFrom('', 'p-'), (usernames, prefix) => {
        const buckets = usernames.map((username) => bucketName(username, prefix));
        for (const bucket of buckets) expect(bucket).toMatch(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/);
        expect(new Set(buckets).size).toBe(usernames.length);
      }),
      { numRuns: 20 },
    );
    const alike = ['Alice', 'alice', 'alice_', 'alice.', 'ab', bucketName('Alice', '')];
    expect(new Set(alike.map((name) => bucketName(name, ''))).size).toBe(alike.length);
  });

  it('is named with its tenant, where there is one', () => {
    expect([qualifiedBucket('b', null), qualifiedBucket('b', 't')]).toEqual(['b', 't:b']);
  });

  it('keeps each task’s object apart, under the file’s name where XML can carry it', () => {
    expect(objectKey('id', "/a/it's ü.tgz")).toBe("id/it's ü.tgz");
    expect(['/a/two\nlines', '/', '/a/..', '/a/\u0001'].map((path) => objectKey('id', path))).toEqual(
      Array(4).fill('id/file'),
    );
  });
});

describe('the job of a transfer', () => {
  const task = {
    id: '0190a5c2-0000-7000-8000-000000000001',
    jobId: '1000000000007',
    principal: { username: 'alice' },
  };
  const fileSystem = (path: string, defaultWorkDir: boolean) => ({ path, dataType: 'users' as const, defaultWorkDir });

  it('has logs by which its task is found again, and no other path is taken for one', () => {
    const fileSystems = [fileSystem('/scratch', false), fileSystem('/home', true)];
    const { logs, workingDirectory } = transferJobOf(task, { name: 'daint', fileSystems });
    expect(workingDirectory).toBe('/home/alice');
    expect(transferLogOf(logs.outputLog)).toEqual({ taskId: task.id, log: 'output' });
    expect(transferLogOf(logs.errorLog)).toEqual({ taskId: task.id, log: 'error' });
    for (const path of [
      '/home/alice/x.log',
      '/home/.f7t_file_handling_job_.log',
      `/h/.f7t_file_handling_job_${task.id}`,
    ]) {
      expect(transferLogOf(path)).toBeNull();
    }
  });

  it('has a number that no scheduler gives, and that clients can count with', () => {
    expect(['1000000000001', '9007199254740991'].map(isJobNumber)).toEqual([true, true]);
    const others = ['1', '67108863', '999999999999', '1000000000000', '9007199254740993', '12345678901234567', '123_4'];
    expect(others.filter(isJobNumber)).toEqual([]);
  });
});
