/** The one list of operations. Routes, handlers, the OpenAPI document and the security table derive from it. */
import { attach } from './compute/attach.ts';
import { awaitJob } from './compute/await-job.ts';
import { cancelJob } from './compute/cancel-job.ts';
import { diagnoseJob } from './compute/diagnose-job.ts';
import { estimateJob } from './compute/estimate-job.ts';
import { getJob } from './compute/get-job.ts';
import { holdJob } from './compute/hold-job.ts';
import { jobLogs } from './compute/job-logs.ts';
import { getJobMetadata } from './compute/job-metadata.ts';
import { listJobs } from './compute/list-jobs.ts';
import { modifyJob } from './compute/modify-job.ts';
import { releaseJob } from './compute/release-job.ts';
import { submitJob } from './compute/submit-job.ts';
import { watchJob } from './compute/watch-job.ts';
import { checksum } from './filesystem/checksum.ts';
import { chmod } from './filesystem/chmod.ts';
import { chown } from './filesystem/chown.ts';
import { compress } from './filesystem/compress.ts';
import { download } from './filesystem/download.ts';
import { extract } from './filesystem/extract.ts';
import { file } from './filesystem/file.ts';
import { head } from './filesystem/head.ts';
import { ls } from './filesystem/ls.ts';
import { mkdir } from './filesystem/mkdir.ts';
import { rm } from './filesystem/rm.ts';
import { stat } from './filesystem/stat.ts';
import { symlink } from './filesystem/symlink.ts';
import { tail } from './filesystem/tail.ts';
import { upload } from './filesystem/upload.ts';
import { view } from './filesystem/view.ts';
import type { Operation } from './operation.ts';
import { nodes } from './status/nodes.ts';
import { partitions } from './status/partitions.ts';
import { reservations } from './status/reservations.ts';
import { systems } from './status/systems.ts';
import { userinfo } from './status/userinfo.ts';
import { compressFiles } from './transfer/compress.ts';
import { copyBetween } from './transfer/copy.ts';
import { copy } from './transfer/cp.ts';
import { stagedDownload } from './transfer/download.ts';
import { downloadTree } from './transfer/download-tree.ts';
import { extractFiles } from './transfer/extract.ts';
import { move } from './transfer/mv.ts';
import { remove } from './transfer/rm.ts';
import { stagedUpload } from './transfer/upload.ts';
import { uploadTree } from './transfer/upload-tree.ts';

export const operations = {
  'compute.attach': attach,
  'compute.await-job': awaitJob,
  'compute.cancel-job': cancelJob,
  'compute.diagnose-job': diagnoseJob,
  'compute.estimate-job': estimateJob,
  'compute.get-job': getJob,
  'compute.hold-job': holdJob,
  'compute.job-logs': jobLogs,
  'compute.job-metadata': getJobMetadata,
  'compute.list-jobs': listJobs,
  'compute.modify-job': modifyJob,
  'compute.release-job': releaseJob,
  'compute.submit-job': submitJob,
  'compute.watch-job': watchJob,
  'filesystem.checksum': checksum,
  'filesystem.chmod': chmod,
  'filesystem.chown': chown,
  'filesystem.compress': compress,
  'filesystem.download': download,
  'filesystem.extract': extract,
  'filesystem.file': file,
  'filesystem.head': head,
  'filesystem.ls': ls,
  'filesystem.mkdir': mkdir,
  'filesystem.rm': rm,
  'filesystem.stat': stat,
  'filesystem.symlink': symlink,
  'filesystem.tail': tail,
  'filesystem.upload': upload,
  'filesystem.view': view,
  'status.nodes': nodes,
  'status.partitions': partitions,
  'status.reservations': reservations,
  'status.systems': systems,
  'status.userinfo': userinfo,
  'transfer.compress': compressFiles,
  'transfer.copy': copyBetween,
  'transfer.cp': copy,
  'transfer.download': stagedDownload,
  'transfer.download-tree': downloadTree,
  'transfer.extract': extractFiles,
  'transfer.mv': move,
  'transfer.rm': remove,
  'transfer.upload': stagedUpload,
  'transfer.upload-tree': uploadTree,
} as const;

export type OperationName = keyof typeof operations;

export const operationNames = Object.keys(operations) as OperationName[];

/** The contract of an operation by name, or undefined for a name that is none. */
export function findOperation(name: string): Operation | undefined {
  return Object.hasOwn(operations, name) ? (operations[name as OperationName] as unknown as Operation) : undefined;
}
