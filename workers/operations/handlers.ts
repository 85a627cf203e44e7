/** The one list of handlers. An operation without a handler does not compile. */
import type { InputOf, ResultOf } from '../../shared/operations/operation.ts';
import type { OperationName, operations } from '../../shared/operations/registry.ts';
import { handleAttach } from './compute/attach.ts';
import { handleAwaitJob } from './compute/await-job.ts';
import { handleCancelJob } from './compute/cancel-job.ts';
import { handleDiagnoseJob } from './compute/diagnose-job.ts';
import { handleEstimateJob } from './compute/estimate-job.ts';
import { handleGetJob } from './compute/get-job.ts';
import { handleHoldJob } from './compute/hold-job.ts';
import { handleJobLogs } from './compute/job-logs.ts';
import { handleJobMetadata } from './compute/job-metadata.ts';
import { handleListJobs } from './compute/list-jobs.ts';
import { handleModifyJob } from './compute/modify-job.ts';
import { handleReleaseJob } from './compute/release-job.ts';
import { handleSubmitJob } from './compute/submit-job.ts';
import { handleWatchJob } from './compute/watch-job.ts';
import { handleChecksum } from './filesystem/checksum.ts';
import { handleChmod, lookAtMode } from './filesystem/chmod.ts';
import { handleChown } from './filesystem/chown.ts';
import { handleCompress } from './filesystem/compress.ts';
import { handleDownload } from './filesystem/download.ts';
import { handleExtract } from './filesystem/extract.ts';
import { handleFile } from './filesystem/file.ts';
import { handleHead } from './filesystem/head.ts';
import { handleLs } from './filesystem/ls.ts';
import { handleMkdir } from './filesystem/mkdir.ts';
import { handleRm } from './filesystem/rm.ts';
import { handleStat } from './filesystem/stat.ts';
import { handleSymlink } from './filesystem/symlink.ts';
import { handleTail } from './filesystem/tail.ts';
import { handleUpload, lookAtPlace } from './filesystem/upload.ts';
import { handleView } from './filesystem/view.ts';
import type { BrokerContext, OperationContext } from './operation-context.ts';
import type { Parked } from './parked.ts';
import { handleNodes } from './status/nodes.ts';
import { handlePartitions } from './status/partitions.ts';
import { handleReservations } from './status/reservations.ts';
import { handleSystems } from './status/systems.ts';
import { handleUserinfo } from './status/userinfo.ts';
import { handleTransferCompress } from './transfer/compress.ts';
import { handleCopyBetween } from './transfer/copy.ts';
import { handleTransferCopy } from './transfer/cp.ts';
import { handleTransferDownload } from './transfer/download.ts';
import { handleTransferDownloadTree } from './transfer/download-tree.ts';
import { handleTransferExtract } from './transfer/extract.ts';
import { handleTransferMove } from './transfer/mv.ts';
import { handleTransferRemove } from './transfer/rm.ts';
import { handleTransferUpload } from './transfer/upload.ts';
import { handleTransferUploadTree } from './transfer/upload-tree.ts';

type ContextOf<Name extends OperationName> = (typeof operations)[Name]['scope'] extends 'none'
  ? BrokerContext
  : OperationContext;

/** Runs one attempt. Neither loops nor sleeps; throws BrokerError. */
export type Handler<Name extends OperationName> = (
  input: InputOf<(typeof operations)[Name]>,
  context: ContextOf<Name>,
) => Promise<ResultOf<(typeof operations)[Name]> | Parked>;

export const handlers = {
  'compute.attach': handleAttach,
  'compute.await-job': handleAwaitJob,
  'compute.cancel-job': handleCancelJob,
  'compute.diagnose-job': handleDiagnoseJob,
  'compute.estimate-job': handleEstimateJob,
  'compute.get-job': handleGetJob,
  'compute.hold-job': handleHoldJob,
  'compute.job-logs': handleJobLogs,
  'compute.job-metadata': handleJobMetadata,
  'compute.list-jobs': handleListJobs,
  'compute.modify-job': handleModifyJob,
  'compute.release-job': handleReleaseJob,
  'compute.submit-job': handleSubmitJob,
  'compute.watch-job': handleWatchJob,
  'filesystem.checksum': handleChecksum,
  'filesystem.chmod': handleChmod,
  'filesystem.chown': handleChown,
  'filesystem.compress': handleCompress,
  'filesystem.download': handleDownload,
  'filesystem.extract': handleExtract,
  'filesystem.file': handleFile,
  'filesystem.head': handleHead,
  'filesystem.ls': handleLs,
  'filesystem.mkdir': handleMkdir,
  'filesystem.rm': handleRm,
  'filesystem.stat': handleStat,
  'filesystem.symlink': handleSymlink,
  'filesystem.tail': handleTail,
  'filesystem.upload': handleUpload,
  'filesystem.view': handleView,
  'status.nodes': handleNodes,
  'status.partitions': handlePartitions,
  'status.reservations': handleReservations,
  'status.systems': handleSystems,
  'status.userinfo': handleUserinfo,
  'transfer.compress': handleTransferCompress,
  'transfer.copy': handleCopyBetween,
  'transfer.cp': handleTransferCopy,
  'transfer.download': handleTransferDownload,
  'transfer.download-tree': handleTransferDownloadTree,
  'transfer.extract': handleTransferExtract,
  'transfer.mv': handleTransferMove,
  'transfer.rm': handleTransferRemove,
  'transfer.upload': handleTransferUpload,
  'transfer.upload-tree': handleTransferUploadTree,
} satisfies { [Name in OperationName]: Handler<Name> };

/**
 * What a change looks at first, while its task is claimed and its paths are looked at. The handler gets it as its third argument
 * when both are done, and not before. A look changes nothing; it may tell the API to come for bytes, or with some, which it is to hold.
 */
export const looksAhead = {
  'filesystem.chmod': lookAtMode,
  'filesystem.upload': lookAtPlace,
} satisfies {
  [Name in OperationName]?: (
    input: InputOf<(typeof operations)[Name]>,
    context: Pick<OperationContext, 'files' | 'journal' | 'task' | 'exchange' | 'signal'>,
  ) => Promise<unknown> | undefined;
};
