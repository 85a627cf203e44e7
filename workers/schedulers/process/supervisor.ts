/**
 * The program that runs a job and outlives every connection: it waits for the job's turn, runs it in a session of its own,
 * ends it when it is told to or its time is up, and writes down how it ended.
 */
import { prelude } from './prelude.ts';

/**
 * Slots of the host, which the jobs of all its users share, without anybody to hand them out: locks (flock(2)) that the
 * kernel takes back whenever their holder dies. Whoever holds `gate` is the next to start; the others wait for it in the
 * order they came, so a job that needs many slots is not overtaken by small ones. Each job that runs holds the lock of a
 * file of its own with the number of its slots. The folder itself is locked too, which keeps systemd-tmpfiles off.
 */
const slots = `
_gc_may_not_run() { [ -e "$_gc_dir/canceled" ] || [ "$(readlink "$_gc_dir/go")" = held ]; }
_gc_nap() { sleep "$1" & _gc_napper=$!; wait "$_gc_napper"; kill "$_gc_napper" 2>/dev/null; }
_gc_fits() {
  _gc_used=$_gc_cpus
  for _gc_entry in "$_gc_slots_dir"/job-*; do
    { read -r _gc_line <"$_gc_entry"; } 2>/dev/null || continue
    ( flock -n 7 || exit 9 ) 7<"$_gc_entry" 2>/dev/null
    case $? in
      9) case $_gc_line in ''|*[!0-9]*) ;; *) _gc_used=$((_gc_used+_gc_line));; esac;;
      0) rm -f "$_gc_entry" 2>/dev/null;;
    esac
  done
  [ "$_gc_used" -le "$_gc_slots" ]
}
_gc_take() {
  _gc_own=$_gc_slots_dir/job-$(id -u)-\${_gc_dir##*/}-$$
  { echo "$_gc_cpus" >"$_gc_own"; } 2>/dev/null && [ -r "$_gc_own" ] && exec 8<"$_gc_own" && flock 8
}
_gc_leave() { exec 8<&-; [ -n "$_gc_own" ] && rm -f "$_gc_own"; _gc_own=; }
_gc_await_slots() {
  [ "$_gc_slots" -eq 0 ] && return 0
  [ -r "$_gc_slots_dir/gate" ] || return 1
  exec 6<"$_gc_slots_dir" 9<"$_gc_slots_dir/gate"
  flock -s 6
  flock 9 & _gc_napper=$!
  _gc_is_first=
  until [ -n "$_gc_is_first" ] || _gc_may_not_run; do
    wait "$_gc_napper" && _gc_is_first=1 || kill -0 "$_gc_napper" 2>/dev/null || break
  done
  kill "$_gc_napper" 2>/dev/null
  while [ -n "$_gc_is_first" ] && ! _gc_may_not_run; do
    if _gc_fits && _gc_take; then exec 9<&-; return 0; fi
    _gc_nap 0.5
  done
  exec 9<&-
  return 1
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
 * Arguments: directory, working directory, input, output, error (empty: as output), PATH for its own use, path of setsid,
 * slots of the host (0: no bound), their directory, slots of this job. Its environment is the job's; its own names begin with
 * `_gc_` and are not exported.
 */
export const supervisorProgram = `
_gc_user_path=$PATH PATH=$6 _gc_dir=$1 _gc_workdir=$2 _gc_in=$3 _gc_out=$4 _gc_err=$5 _gc_setsid=$7 _gc_slots=$8 _gc_slots_dir=$9
shift 9
_gc_cpus=$1 _gc_job= _gc_killer= _gc_timer= _gc_own= _gc_stopped=
${prelude}
${slots}
_gc_stop() {
  _gc_interrupted=1 _gc_stopped=1
  [ -n "$_gc_job" ] || return
  kill -TERM "-$_gc_job" 2>/dev/null || kill -TERM "$_gc_job" 2>/dev/null
  [ -n "$_gc_killer" ] && return
  { sleep 5; kill -KILL "-$_gc_job"; } 2>/dev/null 6<&- 8<&- &
  _gc_killer=$!
}
trap _gc_stop TERM
trap '_gc_interrupted=1' USR1
trap '' INT
ln -s "$$.$(_gc_start_of $$).$_gc_boot" "$_gc_dir/started" 2>/dev/null || exit 0
_gc_end() { echo "$(date +%s) $1 $2" >"$_gc_dir/ended.new" && mv "$_gc_dir/ended.new" "$_gc_dir/ended"; }
while :; do
  [ -e "$_gc_dir/canceled" ] && { _gc_end - CANCELLED; exit 0; }
  if [ "$(readlink "$_gc_dir/go")" = held ]; then _gc_nap 2; continue; fi
  if { read -r _gc_begin <"$_gc_dir/begin"; } 2>/dev/null && _gc_left=$((_gc_begin-$(date +%s))) && [ "$_gc_left" -gt 0 ]; then
    [ "$_gc_left" -le 5 ] || _gc_left=5
    _gc_nap "$_gc_left"; continue
  fi
  _gc_await_slots || { _gc_may_not_run || _gc_nap 1; continue; }
  ln -s run "$_gc_dir/go" 2>/dev/null && break
  _gc_leave
done
_gc_run() { trap - INT USR1; PATH=$_gc_user_path; export PATH; exec "$_gc_setsid" "$_gc_dir/script" 6<&- 8<&-; }
cd -- "$_gc_workdir" || { _gc_end 1 FAILED; _gc_leave; exit 1; }
if [ -n "$_gc_err" ]; then
  _gc_run <"$_gc_in" >"$_gc_out" 2>"$_gc_err" &
else
  _gc_run <"$_gc_in" >"$_gc_out" 2>&1 &
fi
_gc_job=$!
echo "$(date +%s) $_gc_job $(_gc_start_of "$_gc_job")" >"$_gc_dir/begun.new" && mv "$_gc_dir/begun.new" "$_gc_dir/begun"
if { read -r _gc_limit <"$_gc_dir/limit"; } 2>/dev/null; then
  "$_gc_setsid" sh -c '${limitProgram}' goldcrest-limit "$_gc_limit" $$ "$(_gc_start_of $$)" "$_gc_dir" 6<&- 8<&- &
  _gc_timer=$!
fi
[ -e "$_gc_dir/canceled" ] && _gc_stop
while :; do
  _gc_interrupted=
  wait "$_gc_job"
  _gc_code=$?
  [ -n "$_gc_interrupted" ] || break
done
[ -n "$_gc_killer" ] && kill "$_gc_killer" 2>/dev/null
[ -n "$_gc_timer" ] && { kill -KILL "-$_gc_timer" || kill -KILL "$_gc_timer"; } 2>/dev/null
kill -KILL "-$_gc_job" 2>/dev/null
if [ -e "$_gc_dir/canceled" ]; then _gc_state_word=CANCELLED
elif [ -n "$_gc_stopped" ] && [ -e "$_gc_dir/overdue" ]; then _gc_state_word=TIMEOUT
elif [ "$_gc_code" -eq 0 ]; then _gc_state_word=COMPLETED
else _gc_state_word=FAILED
fi
_gc_end "$_gc_code" "$_gc_state_word"
_gc_leave
`;
