/**
 * What the programs on a host without a batch system share. State is in `$XDG_STATE_HOME/goldcrest` (mode 0700), and each
 * step that must happen once is one `ln -s`, which is atomic and carries its content:
 *
 *   keys/<key> → <id>                     the job of a key
 *   jobs/<id>/started → <pid>.<start>.<boot>   who supervises it; `canceled` where it was canceled before
 *   jobs/<id>/go → run                    it may not be held any more; `held` while it is
 *   jobs/<id>/begun, ended, canceled, overdue  "<epoch> <pid> <start>", "<epoch> <code> <state>", two marks
 *   jobs/<id>/limit, begin                seconds, and the epoch not to start before; absent: none
 */
import { processClaims } from '../../ssh/process-claims.ts';

/** Where things are, and, by the text of its claim, whether a process is still the one that was noted: pids are used again, start times are not. */
export const prelude = `
case \${XDG_STATE_HOME:-} in /*) _gc_state=$XDG_STATE_HOME/goldcrest;; *) _gc_state=$HOME/.local/state/goldcrest;; esac
${processClaims}
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
