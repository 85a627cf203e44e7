/** Single values as Slurm's commands print them; what means "none" there is null here. */

/** `1-02:03:04`, `02:03:04`, `03:04` or `03:04.123` in seconds; `UNLIMITED`, `N/A`, `INVALID`, `NOT_SET` … are null. */
export function durationSeconds(text: string): number | null {
  const match = /^(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)(?:\.\d+)?$/.exec(text.trim());
  if (!match) return null;
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = match.slice(1).map((part) => Number(part ?? 0));
  return ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
}

/** A whole number, or null: for epoch seconds (`SLURM_TIME_FORMAT=%s`) where `Unknown`, `None` and `N/A` mean not yet. */
export function wholeNumber(text: string): number | null {
  return /^\d{1,15}$/.test(text.trim()) ? Number(text) : null;
}

/** Text, where Slurm's words for nothing are null. */
export function textOrNull(text: string): string | null {
  return ['', '(null)', 'None', 'N/A'].includes(text) ? null : text;
}

/** Exit code and signal. `0:9` as sacct prints them, or a wait status as squeue 22.05 does (`9`, `256`). */
export function exitStatus(text: string): { exitCode: number | null; interruptSignal: number | null } {
  const pair = /^(\d+):(\d+)$/.exec(text.trim());
  const status = wholeNumber(text);
  if (pair) return { exitCode: Number(pair[1]), interruptSignal: Number(pair[2]) };
  if (status === null) return { exitCode: null, interruptSignal: null };
  return { exitCode: (status >> 8) & 0xff, interruptSignal: status & 0x7f };
}

/**
 * GPUs in a list of trackable resources, `cpu=4,mem=8000M,node=1,gres/gpu=2,gres/gpu:a100=2`: the total, or the sum of the
 * types where no total is tracked; null where the site tracks none.
 */
export function gpusOf(tres: string): number | null {
  const counts = [...tres.matchAll(/(?:^|,)gres\/gpu(?::([^=,]+))?=(\d+)/g)];
  const total = counts.find(([, type]) => type === undefined);
  if (total) return Number(total[2]);
  return counts.length === 0 ? null : counts.reduce((sum, [, , number]) => sum + Number(number), 0);
}
