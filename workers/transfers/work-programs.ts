/**
 * The POSIX sh programs by which work goes on on a login node without anybody connected to it. They are constants: what
 * varies comes as an argument or on standard input. All of a piece of work's state is in one directory (mode 0700) in
 * the user's home, so that any worker, on any login node of the system, finds it:
 *
 *   claim → <pid>.<start>.<boot>   who supervises it, made by `ln -s`, which only one can
 *   beat                           grows every second while the supervisor lives
 *   cancel                         a mark: the supervisor ends the work
 *   out, err, done                 what the work says, and the steps of it that are done (`<name> <bytes> …`)
 *   moved                          bytes so far, those of steps under way among them
 *   state → <lines>                the last beat, and what was moved or read by then, as the words of a link, which are read in
 *                                  one request and never half written; `ended` once it is over
 *   job, run, words, secrets       of work that is a batch job: its id, what it starts, with what, and on what input
 *   ended                          `<exit code> <start> <end>`, in seconds of the host's uptime; the last thing that is written
 */
import { processClaims } from '../ssh/process-claims.ts';

/** Bytes that are kept of what the work writes to its standard error. */
const errorBytesMax = 65_536;
/** Bytes of output that are read back. */
export const outputBytesMax = 262_144;

/**
 * Leads a session of its own while the work runs. Arguments: directory, then the work's argv. Its standard input is the
 * work's. At the end no process of the session is left.
 */
export const supervisorProgram = `
_gc_dir=$1; shift
${processClaims}
cd -- "$_gc_dir" || exit 1
ln -s "$$.$(_gc_start_of $$).$_gc_boot" claim 2>/dev/null || exit 0
_gc_killer=
_gc_stop() {
  _gc_stopped=1
  [ -n "$_gc_killer" ] && return
  { trap '' TERM; sleep 3; kill -KILL "-$$"; } >/dev/null 2>&1 &
  _gc_killer=$!
  kill -TERM "-$$" 2>/dev/null
}
trap _gc_stop TERM
trap '' HUP INT
read -r _gc_begun _gc_rest </proc/uptime
exec 3<&0 </dev/null
mkfifo pipe || exit 1
{ trap '' TERM; head -c ${errorBytesMax} >err; exec cat >/dev/null; } <pipe &
_gc_reader=$!
"$@" <&3 >out 2>pipe 3<&- &
_gc_work=$!
exec 3<&-
# Of a tool that does not tell: what it, or the one of its children that has read most, has read.
_gc_read_by() {
  _gc_most=0
  while [ $# -gt 0 ]; do
    _gc_kin=
    for _gc_pid in "$@"; do
      read -r _gc_name _gc_bytes <"/proc/$_gc_pid/io" && [ "$_gc_bytes" -gt "$_gc_most" ] && _gc_most=$_gc_bytes
      _gc_kids=
      read -r _gc_kids <"/proc/$_gc_pid/task/$_gc_pid/children"
      _gc_kin="$_gc_kin $_gc_kids"
    done
    set -- $_gc_kin
  done
}
_gc_tell() {
  _gc_moved= _gc_entries= _gc_most=
  read -r _gc_moved <moved
  read -r _gc_entries <entries
  [ -e done ] || [ -n "$_gc_moved$_gc_entries" ] || _gc_read_by "$_gc_work"
  ln -sf "beat $1
bytes \${_gc_moved:-0}
\${_gc_most:+read $_gc_most
}\${_gc_entries:+entries $_gc_entries
}end" state
}
{ trap - TERM; _gc_beat=0; while sleep 1; do _gc_beat=$((_gc_beat+1)); echo "$_gc_beat" >beat; _gc_tell "$_gc_beat"; [ -e cancel ] && kill -TERM "$$"; done; } >/dev/null 2>&1 &
[ -e cancel ] && _gc_stop
while :; do
  _gc_stopped=
  wait "$_gc_work"
  _gc_code=$?
  [ -n "$_gc_stopped" ] || break
done
wait "$_gc_reader"
trap '' TERM
kill -TERM "-$$" 2>/dev/null
read -r _gc_over _gc_rest </proc/uptime
echo "$_gc_code $_gc_begun $_gc_over" >ended.new && mv ended.new ended
ln -sf ended state
kill -KILL "-$$"
`;

/** Functions over the directory of a piece of work; `state` prints absent, starting, running, elsewhere, lost, or ended and its file. */
export const workState = `
${processClaims}
supervisor() {
  claim=$(readlink claim) || return 1
  case $claim in *."$_gc_boot") ;; *) return 1;; esac
  claim=\${claim%."$_gc_boot"}
  _gc_is_alive "\${claim%.*}" "\${claim#*.}" && echo "\${claim%.*}"
}
state() {
  if [ -e ended ]; then echo "ended $(cat ended)"; return; fi
  if [ ! -L claim ]; then echo starting; return; fi
  case $(readlink claim) in
    *."$_gc_boot")
      if supervisor >/dev/null; then echo running
      elif [ -e ended ]; then echo "ended $(cat ended)"
      else echo lost; fi;;
    *) echo elsewhere;;
  esac
}
report() {
  told=$(state)
  echo "directory $PWD"
  echo "state $told"
  { read -r job <job; } 2>/dev/null && echo "job $job"
  { read -r beat <beat; } 2>/dev/null && echo "beat $beat"
  [ -e entries ] && echo "entries $(cat entries)"
  [ -L state ] && readlink state | grep '^read '
  if [ -e moved ]; then echo "bytes $(cat moved)"
  elif [ -e done ]; then awk '{ sum += $2 } END { printf "bytes %.0f\\n", sum }' done; fi
  for file in out err; do
    [ -e "$file" ] && printf '%s %s\\n' "$file" "$(head -c ${outputBytesMax} "$file" | base64 | tr -d '\\n')"
  done
  echo end
}
`;

/**
 * Starts the work unless its directory is there, waits a little for its end, and reports. Arguments: name of the
 * directory, `start`, `again` (what an earlier run of it did stays) or `look`, tenths of a second to wait, supervisor
 * program, then the work's argv. Exit code 74: the directory cannot be made.
 */
export const followProgram = `
name=$1 wish=$2 tenths=$3 supervisor=$4; shift 4
cd || exit 74
if [ "$wish" = look ]; then
  cd -- "$name" 2>/dev/null || { echo 'state absent'; echo end; exit 0; }
else
  setsid=$(command -v setsid) || { echo 'setsid was not found' >&2; exit 74; }
  secrets=$(cat; echo .)
  isNew=
  reason=$(mkdir -m 700 -- "$name" 2>&1) && isNew=1
  cd -- "$name" 2>/dev/null || { echo "$reason" >&2; exit 74; }
  [ "$wish" = again ] && { rm -f claim beat cancel out err pipe ended job state moved; isNew=1; }
  if [ -n "$isNew" ]; then
    { printf %s "\${secrets%.}" | "$setsid" sh -c "$supervisor" goldcrest-transfer "$PWD" "$@"; } </dev/null >/dev/null 2>&1 &
  fi
fi
while [ "$tenths" -gt 0 ] && [ ! -e ended ]; do sleep 0.1; tenths=$((tenths-1)); done
${workState}
report
`;

/** Ends the work and reports; what is still \`running\` or \`elsewhere\` is to be looked at again. Argument: name of the directory. */
export const stopProgram = `
cd || exit 74
cd -- "$1" 2>/dev/null || { echo 'state absent'; echo end; exit 0; }
${workState}
: >cancel
tenths=60
while [ "$tenths" -gt 0 ] && [ ! -e ended ]; do
  pid=$(supervisor) || break
  [ "$tenths" -eq 60 ] && kill -TERM "$pid" 2>/dev/null
  [ "$tenths" -eq 10 ] && kill -KILL "-$pid" 2>/dev/null
  sleep 0.1
  tenths=$((tenths-1))
done
# A supervisor that was killed by somebody else may have left its work behind: by session and directory it is ours.
case $(readlink claim) in *."$_gc_boot")
  if [ ! -e ended ] && ! supervisor >/dev/null; then
    claim=$(readlink claim)
    for process in /proc/[0-9]*; do
      [ "$(readlink "$process/cwd" 2>/dev/null)" = "$PWD" ] || continue
      { read -r line <"$process/stat"; } 2>/dev/null || continue
      set -- \${line##*) }
      [ "$4" = "\${claim%%.*}" ] && kill -KILL "\${process#/proc/}" 2>/dev/null
    done
  fi;;
esac
report
`;

/** Argument: name of the directory. */
export const removeProgram = 'cd && rm -rf -- "$1"';
