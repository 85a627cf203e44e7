/**
 * POSIX sh functions by which a program notes who it is and another one finds out whether it still lives: pids are used
 * again, start times are not. A claim is `<pid>.<start time>.<boot id>`.
 */
export const processClaims = `
read -r _gc_boot </proc/sys/kernel/random/boot_id || exit 69
_gc_start_of() {
  { read -r _gc_line <"/proc/$1/stat"; } 2>/dev/null || return 1
  set -- \${_gc_line##*) }
  [ "$1" != Z ] && echo "\${20}"
}
_gc_is_alive() { [ -n "$2" ] && [ "$(_gc_start_of "$1")" = "$2" ]; }
`;
