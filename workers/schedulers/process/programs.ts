/**
 * The POSIX sh programs that stand in for a batch system on a host that has none. They are constants: everything that
 * varies comes as an argument or on standard input. State is in `$XDG_STATE_HOME/goldcrest` (mode 0700), and each step
 * that must happen once is one `ln -s`, which is atomic and carries its content:
 *
 *   keys/<key> → <id>                     the job of a key
 *   jobs/<id>/started → <pid>.<start>.<boot>   who supervises it; `canceled` where it was canceled before
 *   jobs/<id>/begun, ended                "<epoch> <pid> <start>", "<epoch> <code> <state>"
 *   jobs/<id>/canceled, overdue           marks
 */

/** Where things are, and, by the text of its claim, whether a process is still the one that was noted: pids are used again, start times are not. */
const prelude = `
case \${XDG_STATE_HOME:-} in /*) _gc_state=$XDG_STATE_HOME/goldcrest;; *) _gc_state=$HOME/.local/state/goldcrest;; esac
read -r _gc_boot </proc/sys/kernel/random/boot_id || exit 69
_gc_start_of() {
  { read -r _gc_line <"/proc/$1/stat"; } 2>/dev/null || return 1
  set -- \${_gc_line##*) }
  [ "$1" != Z ] && echo "\${20}"
}
_gc_is_alive() { [ -n "$2" ] && [ "$(_gc_start_of "$1")" = "$2" ]; }
_gc_supervisor() {
  _gc_claim=$2
  case $_gc_claim in *."$_gc_boot") ;; *) return 1;; esac
  _gc_claim=\${_gc_claim%."$_gc_boot"}
  _gc_is_alive "\${_gc_claim%.*}" "\${_gc_claim#*.}" && echo "\${_gc_claim%.*}"
}
_gc_leader() {
  case $2 in *."$_gc_boot") ;; *) return 1;; esac
  { read -r _gc_at _gc_pid _gc_start <"$1/begun"; } 2>/dev/null || return 1
  _gc_is_alive "$_gc_pid" "$_gc_start" && echo "$_gc_pid"
}
`;

/**
 * Ends a job that runs too long, by its supervisor. A process group of its own, so that its end takes the sleep along; it
 * stands within the quotes of another program and holds none. Arguments: seconds, supervisor's pid and start, directory.
 */
const limitProgram = `
${prelude}
sleep "$1" || exit
_gc_is_alive "$2" "$3" && : >"$4/overdue" && kill -TERM "$2"
`;

/**
 * Runs in a session of its own for as long as the job does. Arguments: directory, working directory, input, output, error
 * (empty: as output), PATH for its own use, path of setsid, longest run in seconds (empty: any). Its environment is the job's; its own names begin with
 * `_gc_` and are not exported.
 */
export const supervisorProgram = `
_gc_user_path=$PATH PATH=$6 _gc_dir=$1 _gc_in=$3 _gc_out=$4 _gc_err=$5 _gc_setsid=$7 _gc_limit=$8 _gc_job= _gc_killer= _gc_timer= _gc_stopped=
${prelude}
ln -s "$$.$(_gc_start_of $$).$_gc_boot" "$_gc_dir/started" 2>/dev/null || exit 0
_gc_stop() {
  _gc_interrupted=1 _gc_stopped=1
  [ -n "$_gc_job" ] || return
  kill -TERM "-$_gc_job" 2>/dev/null || kill -TERM "$_gc_job" 2>/dev/null
  [ -n "$_gc_killer" ] && return
  { sleep 5; kill -KILL "-$_gc_job"; } 2>/dev/null &
  _gc_killer=$!
}
trap _gc_stop TERM
trap '' INT
_gc_run() { trap - INT; PATH=$_gc_user_path; export PATH; exec "$_gc_setsid" "$_gc_dir/script"; }
cd -- "$2" || exit 1
if [ -n "$_gc_err" ]; then
  _gc_run <"$_gc_in" >"$_gc_out" 2>"$_gc_err" &
else
  _gc_run <"$_gc_in" >"$_gc_out" 2>&1 &
fi
_gc_job=$!
echo "$(date +%s) $_gc_job $(_gc_start_of "$_gc_job")" >"$_gc_dir/begun.new" && mv "$_gc_dir/begun.new" "$_gc_dir/begun"
[ -e "$_gc_dir/canceled" ] && _gc_stop
if [ -n "$_gc_limit" ]; then
  "$_gc_setsid" sh -c '${limitProgram}' goldcrest-limit "$_gc_limit" $$ "$(_gc_start_of $$)" "$_gc_dir" >/dev/null 2>&1 &
  _gc_timer=$!
fi
while :; do
  _gc_interrupted=
  wait "$_gc_job"
  _gc_code=$?
  [ -n "$_gc_interrupted" ] || break
done
[ -n "$_gc_killer" ] && kill "$_gc_killer" 2>/dev/null
[ -n "$_gc_timer" ] && { kill -KILL "-$_gc_timer" || kill -KILL "$_gc_timer"; } 2>/dev/null
kill -KILL "-$_gc_job" 2>/dev/null
if [ -e "$_gc_dir/canceled" ]; then _gc_end=CANCELLED
elif [ -n "$_gc_stopped" ] && [ -e "$_gc_dir/overdue" ]; then _gc_end=TIMEOUT
elif [ "$_gc_code" -eq 0 ]; then _gc_end=COMPLETED
else _gc_end=FAILED
fi
echo "$(date +%s) $_gc_code $_gc_end" >"$_gc_dir/ended.new" && mv "$_gc_dir/ended.new" "$_gc_dir/ended"
`;

/**
 * Arguments: supervisor program, key, meta, script bytes on standard input (or - with a path next), path, working
 * directory, input, output, error, jobs kept, longest run in seconds (or empty), CPUs wanted, then `NAME=value` words. Prints the id. Exit codes: 65 the job is refused
 * (reason on standard error), 69 the host cannot, 74 the state or the script could not be written; nothing runs after these.
 */
export const submitProgram = `
${prelude}
supervisor=$1 key=$2 meta=$3 bytes=$4 path=$5 workdir=$6 in=$7 out=$8 err=$9
shift 9; keep=$1 limit=$2 cpus=$3; shift 3
setsid=$(command -v setsid) && sh=$(command -v sh) && env=$(command -v env) || { echo 'setsid was not found' >&2; exit 69; }
mask=$(umask); umask 077
[ -d "$_gc_state/jobs" ] && [ -d "$_gc_state/keys" ] ||
  { mkdir -p "$_gc_state/jobs" "$_gc_state/keys" && chmod 700 "$_gc_state"; } || exit 74
id=$(readlink "$_gc_state/keys/$key")
if [ -z "$id" ]; then
  ( cd -- "$workdir" ) || exit 65
  [ "$cpus" -le "$(getconf _NPROCESSORS_ONLN)" ] ||
    { echo "$cpus CPUs are more than the $(getconf _NPROCESSORS_ONLN) that the host has" >&2; exit 65; }
  { read -r id <"$_gc_state/last"; } 2>/dev/null
  case $id in ''|*[!0-9]*) id=0;; esac
  id=$((id+1))
  while ! mkdir "$_gc_state/jobs/$id" 2>/dev/null; do
    [ -d "$_gc_state/jobs/$id" ] || { echo 'the state directory cannot be written' >&2; exit 74; }
    id=$((id+1))
  done
  dir=$_gc_state/jobs/$id
  echo "$id" >"$dir/last" && mv "$dir/last" "$_gc_state/last" || exit 74
  if [ "$bytes" = - ]; then
    [ -f "$path" ] && cat -- "$path" >"$dir/script" || { rm -r "$dir"; echo "Unable to open file $path" >&2; exit 65; }
  else
    cat >"$dir/script" && [ "$(wc -c <"$dir/script")" -eq "$bytes" ] || { rm -r "$dir"; exit 74; }
  fi
  chmod 700 "$dir/script" && printf %s "$meta" >"$dir/meta" && echo "$key" >"$dir/key" && date +%s >"$dir/submitted" ||
    { rm -r "$dir"; exit 74; }
  if ! ln -s "$id" "$_gc_state/keys/$key" 2>/dev/null; then
    rm -r "$dir"
    id=$(readlink "$_gc_state/keys/$key") || exit 74
  fi
fi
dir=$_gc_state/jobs/$id
umask "$mask"
with_id() {
  name=$1
  while :; do case $name in *%j*) name=\${name%%%j*}$id\${name#*%j};; *) break;; esac; done
  echo "$name."
}
if [ ! -L "$dir/started" ]; then
  out=$(with_id "$out"); out=\${out%.}; err=$(with_id "$err"); err=\${err%.}
  "$env" "$@" GOLDCREST_JOB_ID="$id" "$setsid" "$sh" -c "$supervisor" goldcrest-job \\
    "$dir" "$workdir" "$in" "$out" "$err" "$PATH" "$setsid" "$limit" </dev/null >/dev/null 2>&1 &
fi
echo "$id"
if [ $((id % 100)) -eq 0 ]; then
  for old in "$_gc_state"/jobs/*; do
    number=\${old##*/}
    [ "$number" -le $((id-keep)) ] || continue
    claim=$(readlink "$old/started")
    { _gc_supervisor "$old" "$claim" || _gc_leader "$old" "$claim"; } >/dev/null && continue
    [ -e "$old/key" ] && rm -f "$_gc_state/keys/$(cat "$old/key")"
    rm -rf "$old"
  done
fi
`;

/** Argument: key. Prints the id of the key's job when it was started. */
export const findProgram = `
${prelude}
id=$(readlink "$_gc_state/keys/$1") && [ -L "$_gc_state/jobs/$id/started" ] && echo "$id"
exit 0
`;

/** Argument: id. Prints `absent`, or facts a line each and `meta` with everything after it. The end is read last. */
export const getProgram = `
${prelude}
dir=$_gc_state/jobs/$1
[ -e "$dir/submitted" ] || { echo absent; exit 0; }
claim=$(readlink "$dir/started")
case $claim in '') alive=pending;; canceled) alive=canceled;; *) alive=no;; esac
[ "$alive" = no ] && { _gc_supervisor "$dir" "$claim" || _gc_leader "$dir" "$claim"; } >/dev/null && alive=yes
fact() { { read -r line <"$dir/$1"; } 2>/dev/null && echo "$1 $line"; }
echo "now $(date +%s)"
echo "host $(uname -n)"
echo "alive $alive"
fact submitted
fact begun
fact ended
printf 'meta %s\\n' "$(cat "$dir/meta")"
`;

/**
 * Prints `now` and `host`, and then for each job `job <id>` and the facts of the get program. Starts no process for a job
 * that has ended, since there may be a thousand of them.
 */
export const listProgram = `
${prelude}
fact() { { read -r line <"$dir/$1"; } 2>/dev/null && echo "$1 $line"; }
echo "now $(date +%s)"
echo "host $(uname -n)"
for dir in "$_gc_state"/jobs/*; do
  [ -e "$dir/submitted" ] || continue
  alive=no
  if [ ! -e "$dir/ended" ]; then
    claim=$(readlink "$dir/started")
    case $claim in '') alive=pending;; canceled) alive=canceled;; esac
    [ "$alive" = no ] && { _gc_supervisor "$dir" "$claim" || _gc_leader "$dir" "$claim"; } >/dev/null && alive=yes
  fi
  { IFS= read -r meta <"$dir/meta"; } 2>/dev/null
  [ -n "$meta" ] || continue
  echo "job \${dir##*/}"
  echo "alive $alive"
  fact submitted
  fact begun
  fact ended
  printf 'meta %s\\n' "$meta"
  meta=
done
exit 0
`;

/** Arguments: id, longest script in bytes. Prints `absent`, or `meta` and, where it is no longer than that, `script` with everything after it. */
export const metadataProgram = `
${prelude}
dir=$_gc_state/jobs/$1
[ -e "$dir/submitted" ] || { echo absent; exit 0; }
printf 'meta %s\\n' "$(cat "$dir/meta")"
[ "$(wc -c <"$dir/script")" -le "$2" ] || exit 0
echo script
cat "$dir/script"
`;

/** Prints the host's name, processors, load and memory; what this machine does not tell is left out. */
export const hostProgram = `
echo "host $(uname -n)"
echo "cpus $(getconf _NPROCESSORS_ONLN)"
{ read -r load rest </proc/loadavg; } 2>/dev/null && echo "load $load"
grep '^MemAvailable:' /proc/meminfo
grep -E '^(physical id|cpu cores|siblings)' /proc/cpuinfo | sort -u
exit 0
`;

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
  echo canceled
elif pid=$(_gc_leader "$dir" "$claim"); then
  kill -TERM "-$pid"
  setsid sh -c 'sleep 5; kill -KILL "-$1"' sh "$pid" </dev/null >/dev/null 2>&1 &
  echo canceled
else
  echo ended
fi
`;

/** Whether the host has what the other programs need. */
export const pingProgram = `
${prelude}
command -v setsid >/dev/null && [ -n "$(_gc_start_of $$)" ]
`;
