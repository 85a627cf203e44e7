/**
 * Drives the command line of Magic Wormhole (`magic-wormhole`, tried with 0.24) on the cluster. A code is on no
 * command line and in no environment: the command makes it itself where it sends, and takes it from its standard input
 * where it receives. It asks before it takes what the other side offers; only a file is taken.
 *
 * Arguments: `send` or `receive`, file, partial file, SHA-256 that is wanted (may be empty), seconds to wait for the other
 * side, then the command. Standard input: the code, where it receives. The work's directory gets a file `code` where it
 * sends. Prints `connected`, and at a good end `bytes <n>`, `took <seconds>` and `sha256 <hex>`. Exit codes are those of
 * the movers.
 */
import { digests, place } from '../mover-programs.ts';

/** Words of a code that the command makes; each is one of 256. */
const codeWords = 8;
/** Without a byte more for so long, the other side is taken for gone. */
export const silenceSeconds = 300;

export const wormholeProgram = `
way=$1 target=$2 part=$3 wanted=$4 wait=$5; shift 5
${digests}
fail() { echo "$2" >&2; exit "$1"; }
unset WORMHOLE_ACCEPT_FILE
nl='
'
command -v "$1" >/dev/null || fail 84 "the command $1 of Magic Wormhole is not installed on this host"
code=
[ "$way" = send ] || IFS= read -r code
mkfifo said answers || exit 73
child= timer= teller= kind= connected= whole= last=
clean() {
  for pid in $timer $teller $child; do kill "$pid" 2>/dev/null; done
  [ "$way" = send ] || rm -f -- "$part" "$part.tmp"
  rm -f code
}
trap 'clean; exit 143' TERM
facts() { stat -L -c '%s %i %Y' -- "$target"; }
seconds() { read -r now rest </proc/uptime; }
size_of() { size=$(stat -c %s -- "$1" 2>/dev/null) && echo "$size"; }
# What the command has read of the file, or written of it.
moved_so_far() {
  [ "$way" = send ] || { size_of "$part.tmp"; return; }
  for link in /proc/"$child"/fd/*; do
    [ "$(readlink "$link")" = "$real" ] || continue
    while read -r word at; do [ "$word" = pos: ] && echo "$at"; done <"/proc/$child/fdinfo/\${link##*/}"
    return
  done
}
tell() {
  still=0 before=
  while sleep 1; do
    moved=$(moved_so_far)
    [ -n "$moved" ] || continue
    echo "$moved" >moved.new && mv -f moved.new moved
    if [ "$moved" = "$before" ]; then still=$((still+1)); else still=0 before=$moved; fi
    [ "$still" -lt ${silenceSeconds} ] || { : >silent; kill "$child"; return; }
  done
}
came() {
  [ -z "$connected" ] || return
  connected=1
  [ -z "$timer" ] || kill "$timer" 2>/dev/null
  seconds; since=$now
  echo connected
  tell >/dev/null 2>&1 3>&- 4>&- &
  teller=$!
}
if [ "$way" = send ]; then
  real=$(readlink -f -- "$target") && before=$(facts) || fail 73 "$target: cannot be read"
  # The command says what it sends before it says the code: a line of a name must not be taken for one.
  named=$target
  case $target in *"$nl"*) named=file; ln -s -- "$target" file || exit 73;; esac
  set -- "$@" send --hide-progress --code-length ${codeWords} "$named"
else
  set -- "$@" receive --hide-progress --output-file "$part"
fi
(trap - TERM; exec "$@") <answers >/dev/null 2>said &
child=$!
# The client can come from now on.
await_client() {
  { sleep "$wait"; : >late; kill "$child"; } >/dev/null 2>&1 3>&- 4>&- &
  timer=$!
}
[ "$way" = send ] || await_client
exec 4>answers 3<said
[ -z "$code" ] || printf '%s\\n' "$code" >&4
while IFS= read -r line <&3; do
  case $line in
    'Wormhole code is: '*) code=\${line#*: }; printf '%s\\n' "$code" >code.new && mv -f code.new code; await_client;;
    'Receiving file ('*) came; printf 'y\\n' >&4;;
    'Receiving directory ('*) kind=directory; printf 'n\\n' >&4;;
    'Sending ('*) came; rm -f code;;
    'Confirmation received'*|'Received file written to: '*) whole=1;;
    *insufficient\\ free\\ space*|*'No space left'*|*'quota exceeded'*) kind=space;;
    *'onfirmation failed'*) kind=code;;
    *[!\\ ]*) last=$line;;
  esac
done
exec 4>&-
wait "$child"
outcome=$?
child=
for pid in $teller $timer; do kill "$pid" 2>/dev/null; done
seconds
[ -z "$code" ] || case $last in *"$code"*) last=;; esac
# It ends with 0 where a signal ends it.
if [ "$outcome" -ne 0 ] || [ -z "$whole" ]; then
  clean
  [ ! -e late ] || fail 79 "no client came within $wait s"
  case $kind in
    code) fail 83 'the other side used another code, which is good for one try';;
    directory) fail 83 'the other side sends a directory, and only a file is taken';;
    space) fail 73 'No space left on device';;
  esac
  [ ! -e silent ] || fail 80 'the client was silent'
  [ -n "$connected" ] || [ "$outcome" -ne 0 ] || fail 83 'the other side sent no file'
  [ -z "$connected" ] || fail 80 "the connection to the client broke off ($last)"
  fail 85 "wormhole ended with exit code $outcome ($last)"
fi
if [ "$way" = send ]; then
  sum=$(sha256 <"$target") && [ "$(facts)" = "$before" ] || fail 75 'the file changed while it was read'
  echo "bytes \${before%% *}"
  echo "took $(awk "BEGIN { print $now - $since }")"
  echo "sha256 $sum"
  exit 0
fi
sum=$(sha256 <"$part") || { clean; fail 73 "$part: cannot be read"; }
[ -z "$wanted" ] || [ "$wanted" = "$sum" ] || { clean; fail 76 "the file has the SHA-256 $sum, not $wanted"; }
echo "bytes $(size_of "$part")"
echo "took $(awk "BEGIN { print $now - $since }")"
${place}`;
