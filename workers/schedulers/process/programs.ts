/**
 * The POSIX sh programs that stand in for a batch system on a host that has none. They are constants: everything that
 * varies comes as an argument or on standard input.
 */
import { prelude } from './prelude.ts';

/**
 * Arguments: supervisor program, key, meta, script bytes on standard input (or - with a path next), path, working
 * directory, input, output, error, jobs kept, minutes kept, open jobs at most, slots of the host (0: no bound), their directory, slots
 * of this job, limit in seconds (or nothing), epoch not to start before (or nothing), then `NAME=value` words. Prints the id. Exit codes: 65 the job is refused
 * (reason on standard error), 66 there are too many, 69 the host cannot, 74 the state or the script could not be written;
 * nothing runs after these.
 */
export const submitProgram = `
${prelude}
supervisor=$1 key=$2 meta=$3 bytes=$4 path=$5 workdir=$6 in=$7 out=$8 err=$9
shift 9; kept=$1 minutes=$2 open_max=$3 slots=$4 slots_dir=$5 cpus=$6 limit=$7 begin=$8; shift 8
setsid=$(command -v setsid) && sh=$(command -v sh) && env=$(command -v env) || { echo 'setsid was not found' >&2; exit 69; }
most=$slots
[ "$most" -gt 0 ] || most=$(getconf _NPROCESSORS_ONLN)
[ "$cpus" -le "$most" ] || { echo "$cpus CPUs are more than the $most that jobs have on this system" >&2; exit 65; }
if [ "$slots" -gt 0 ]; then
  command -v flock >/dev/null || { echo 'flock was not found' >&2; exit 69; }
  # Opening what is there must not create it: in a sticky directory that is refused where another user made it.
  if [ ! -e "$slots_dir/gate" ]; then
    mkdir -m 1777 "$slots_dir" 2>/dev/null
    ( umask 0222; set -C; : >"$slots_dir/gate" ) 2>/dev/null
  fi
  [ -r "$slots_dir/gate" ] && [ -w "$slots_dir" ] || { echo "the directory $slots_dir cannot be used for slots" >&2; exit 69; }
fi
mask=$(umask); umask 077
[ -d "$_gc_state/jobs" ] && [ -d "$_gc_state/keys" ] ||
  { mkdir -p "$_gc_state/jobs" "$_gc_state/keys" && chmod 700 "$_gc_state"; } || exit 74
id=$(readlink "$_gc_state/keys/$key")
if [ -z "$id" ]; then
  open=0
  for old in "$_gc_state"/jobs/*; do
    [ -e "$old/submitted" ] && [ ! -e "$old/ended" ] || continue
    claim=$(readlink "$old/started")
    [ -z "$claim" ] || { _gc_supervisor "$old" "$claim" || _gc_leader "$old" "$claim"; } >/dev/null || continue
    open=$((open+1))
    [ "$open" -lt "$open_max" ] || { echo "$open_max jobs of this user wait or run" >&2; exit 66; }
  done
  ( cd -- "$workdir" ) || exit 65
  { read -r id <"$_gc_state/last"; } 2>/dev/null
  case $id in ''|*[!0-9]*) id=0;; esac
  id=$((id+1))
  misses=0
  while ! mkdir "$_gc_state/jobs/$id" 2>/dev/null; do
    # One that was there a moment ago was removed by a submission whose key another one had taken: its number is free.
    if [ -d "$_gc_state/jobs/$id" ]; then id=$((id+1)); else misses=$((misses+1)); fi
    [ "$misses" -le 20 ] || { echo 'the state directory cannot be written' >&2; exit 74; }
  done
  dir=$_gc_state/jobs/$id
  echo "$id" >"$dir/last" && mv "$dir/last" "$_gc_state/last" || exit 74
  if [ "$bytes" = - ]; then
    [ -f "$path" ] && cat -- "$path" >"$dir/script" || { rm -r "$dir"; echo "Unable to open file $path" >&2; exit 65; }
  else
    cat >"$dir/script" && [ "$(wc -c <"$dir/script")" -eq "$bytes" ] || { rm -r "$dir"; exit 74; }
  fi
  keep() { [ -z "$2" ] || echo "$2" >"$dir/$1" || { rm -r "$dir"; exit 74; }; }
  keep limit "$limit"
  keep begin "$begin"
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
    "$dir" "$workdir" "$in" "$out" "$err" "$PATH" "$setsid" "$slots" "$slots_dir" "$cpus" </dev/null >/dev/null 2>&1 &
fi
echo "$id"
forget() {
  claim=$(readlink "$1/started")
  { _gc_supervisor "$1" "$claim" || _gc_leader "$1" "$claim"; } >/dev/null && return
  [ -e "$1/key" ] && rm -f "$_gc_state/keys/$(cat "$1/key")"
  rm -rf "$1"
}
if [ $((id % 100)) -eq 0 ]; then
  for old in "$_gc_state"/jobs/*; do
    [ "\${old##*/}" -gt $((id-kept)) ] || forget "$old"
  done
fi
if [ -z "$(find "$_gc_state/swept" -mmin -60 2>/dev/null)" ]; then
  : >"$_gc_state/swept"
  find "$_gc_state/jobs" -mindepth 1 -maxdepth 1 -mmin "+$minutes" | while IFS= read -r old; do forget "$old"; done
fi
exit 0
`;

/**
 * Argument: key. Prints the id of the key's job when it was started. The supervisor comes up a moment after the id was
 * printed: a job without one is looked at again, for three seconds.
 */
export const findProgram = `
${prelude}
id=$(readlink "$_gc_state/keys/$1") || exit 0
for again in 1 1 1 0; do
  [ ! -L "$_gc_state/jobs/$id/started" ] || { echo "$id"; exit 0; }
  [ "$again" = 0 ] || sleep 1
done
exit 0
`;

/**
 * Arguments: ids, or none for all jobs. Prints `now` and `host`, and then for each job that is there `job <id>`, facts a line each
 * and `meta` with everything after it; the end is read last. Starts no process for a job that has ended, since there may be a
 * thousand of them.
 */
export const showProgram = `
${prelude}
fact() { { read -r line <"$dir/$1"; } 2>/dev/null && echo "$1 $line"; }
now=$(date +%s)
echo "now $now"
echo "host $(uname -n)"
show() {
  dir=$1
  [ -e "$dir/submitted" ] || return
  alive=no why=
  if [ ! -e "$dir/ended" ]; then
    claim=$(readlink "$dir/started")
    case $claim in '') alive=pending;; canceled) alive=canceled;; *."$_gc_boot") ;; *) alive=rebooted;; esac
    [ "$alive" = no ] && { _gc_supervisor "$dir" "$claim" || _gc_leader "$dir" "$claim"; } >/dev/null && alive=yes
    if [ "$(readlink "$dir/go")" = held ]; then why=held
    elif { read -r begin <"$dir/begin"; } 2>/dev/null && [ "$begin" -gt "$now" ]; then why=begin
    fi
  fi
  { IFS= read -r meta <"$dir/meta"; } 2>/dev/null
  [ -n "$meta" ] || return
  echo "job \${dir##*/}"
  echo "alive $alive $why"
  fact submitted
  fact limit
  fact begun
  fact ended
  printf 'meta %s\\n' "$meta"
  meta=
}
if [ "$#" -eq 0 ]; then
  for each in "$_gc_state"/jobs/*; do show "$each"; done
else
  for each in "$@"; do show "$_gc_state/jobs/$each"; done
fi
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

/** Argument: slots. Whether the host has what the other programs need. */
export const pingProgram = `
${prelude}
command -v setsid >/dev/null && [ -n "$(_gc_start_of $$)" ] || { echo 'setsid or /proc was not found' >&2; exit 69; }
[ "$1" -eq 0 ] || command -v flock >/dev/null || { echo 'flock was not found' >&2; exit 69; }
`;
