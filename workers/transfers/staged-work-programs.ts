/**
 * POSIX sh programs for work that a batch job starts: it is laid down in the directory of the work, so that the script
 * which the scheduler keeps, and shows to others, names that directory and nothing else.
 */
import { workState } from './work-programs.ts';

/**
 * The script of the job, but for its directives. Argument of none; it runs in the work's directory. The job's exit status
 * is that of the work; where the directory is gone, its outcome was told already.
 */
export const runProgram = `
[ -e words ] && exec 3<secrets || exit 0
rm -f secrets
trap : TERM
sh ./words <&3 3<&- &
supervisor=$!
exec 3<&-
while kill -0 "$supervisor" 2>/dev/null; do wait "$supervisor"; done
{ read -r code rest <ended; } 2>/dev/null || code=0
exit "$code"
`;

/**
 * Lays work down unless it is there. Arguments: name of the directory, `new` or `again` (what an earlier run of it did
 * stays), bytes of its command line; standard input: that line, then the work's own input. Prints `fresh yes` where it
 * did, and a report. Exit code 74: the directory cannot be made.
 */
export const stageProgram = `
name=$1 wish=$2 bytes=$3
umask 077
cd || exit 74
fresh=
reason=$(mkdir -- "$name" 2>&1) && fresh=yes
cd -- "$name" 2>/dev/null || { echo "$reason" >&2; exit 74; }
[ "$wish" = again ] && { rm -f claim beat cancel out err pipe ended job state moved; fresh=yes; }
if [ -n "$fresh" ]; then
  cat >input && head -c "$bytes" input >words && tail -c "+$((bytes+1))" input >secrets && rm -f input || exit 74
  echo 'fresh yes'
fi
${workState}
report
`;

/** Arguments: name of the directory, id of the job. */
export const noteProgram = 'cd && cd -- "$1" && echo "$2" >job.new && mv job.new job';
