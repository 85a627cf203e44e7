/** The programs that change a job on a host without a batch system. */
import { prelude } from './prelude.ts';

/** Argument: id. Prints `absent`, `ended` or `canceled`. SIGTERM to the job's group, SIGKILL 5 s later. */
export const cancelProgram = `
${prelude}
dir=$_gc_state/jobs/$1
[ -e "$dir/submitted" ] || { echo absent; exit 0; }
[ -e "$dir/ended" ] && { echo ended; exit 0; }
: >"$dir/canceled" || exit 74
if ln -s canceled "$dir/started" 2>/dev/null; then echo canceled; exit 0; fi
claim=$(readlink "$dir/started")
if pid=$(_gc_supervisor "$dir" "$claim"); then
  kill -TERM "$pid"
  # A signal may come just before the supervisor waits for its turn.
  for again in 1 2 3 4 5; do
    [ -e "$dir/begun" ] || [ -e "$dir/ended" ] && break
    sleep 0.1
    kill -USR1 "$pid" 2>/dev/null
  done
  echo canceled
elif pid=$(_gc_leader "$dir" "$claim"); then
  kill -TERM "-$pid"
  setsid sh -c 'sleep 5; kill -KILL "-$1"' sh "$pid" </dev/null >/dev/null 2>&1 &
  echo canceled
else
  echo ended
fi
`;

/**
 * Arguments: id, `hold` or `release`. Prints `absent`, `ended`, `running` or `done`. Whether a job may start is one link, made
 * by who comes first: the hold, or the supervisor that starts it.
 */
export const holdProgram = `
${prelude}
dir=$_gc_state/jobs/$1
[ -e "$dir/submitted" ] || { echo absent; exit 0; }
if [ -e "$dir/ended" ] || [ -e "$dir/canceled" ]; then echo ended; exit 0; fi
claim=$(readlink "$dir/started")
{ _gc_supervisor "$dir" "$claim" || _gc_leader "$dir" "$claim"; } >/dev/null || { echo ended; exit 0; }
[ "$2" = hold ] && ln -s held "$dir/go" 2>/dev/null && { echo done; exit 0; }
case $(readlink "$dir/go") in
  run) echo running; exit 0;;
  held) [ "$2" = release ] && rm -f "$dir/go";;
esac
pid=$(_gc_supervisor "$dir" "$claim") && kill -USR1 "$pid" 2>/dev/null
echo done
`;

/**
 * Arguments: id, meta, limit in seconds and epoch not to start before (or nothing: as it is). Prints `absent`, `ended`, `running` or `done`. A job that starts
 * just then may have the new values or the old ones.
 */
export const modifyProgram = `
${prelude}
dir=$_gc_state/jobs/$1
[ -e "$dir/submitted" ] || { echo absent; exit 0; }
if [ -e "$dir/ended" ] || [ -e "$dir/canceled" ]; then echo ended; exit 0; fi
[ "$(readlink "$dir/go")" = run ] && { echo running; exit 0; }
put() { printf '%s\\n' "$2" >"$dir/$1.$$" && mv "$dir/$1.$$" "$dir/$1" || exit 74; }
[ -z "$3" ] || put limit "$3"
[ -z "$4" ] || put begin "$4"
put meta "$2"
pid=$(_gc_supervisor "$dir" "$(readlink "$dir/started")") && kill -USR1 "$pid" 2>/dev/null
echo done
`;
