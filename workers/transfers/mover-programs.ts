/**
 * What the programs that move bytes on a cluster have in common: POSIX sh, curl, GNU coreutils, and, where they are there,
 * openssl, which hashes several times faster, and Python, which needs no pipe for it. Addresses come on standard input and reach
 * curl by a pipe: on no command line, and in no file.
 *
 * Exit codes: 71 the store refused (expired address, object gone), 72 the store did not answer after several tries, 73
 * the file cannot be read or written, 75 the file changed meanwhile, 76 what arrived is not what was sent, 78 it is not what
 * the store has and may come right another time. Of a stream to a client: 79 nobody came, 80 the connection broke off, 81 the
 * file is too large, 82 there is no port. Of a wormhole besides: 83 the other side is not who or what it should be, 84 there is no
 * such command, 85 the command failed.
 */
import { hashing } from './hash-program.ts';

export const moverExit = {
  refused: 71,
  silent: 72,
  file: 73,
  changed: 75,
  damaged: 76,
  unlike: 78,
  absent: 79,
  brokeOff: 80,
  tooLarge: 81,
  noPort: 82,
  otherSide: 83,
  noCommand: 84,
  commandFailed: 85,
} as const;

/** What tools say of a file system that takes no more. */
export const spaceSayings = [
  [/No space left on device$/m, 'TransferFailed'],
  [/Disk quota exceeded$/m, 'TransferFailed'],
] as const;

/** How the programs talk to the store. An address goes to curl by a pipe. */
export const storeTalk = `
tries=5
fail() { echo "$2" >&2; return "$1"; }
fetch_url() {
  printf 'url = "%s"\\n' "$1"
}
status_of() { sed -n 's/^HTTP[^ ]* \\([0-9]*\\).*/\\1/p' "$1" | tail -n 1; }
cr=$(printf '\\r')
# Of the last answer in a file of heads, without a process: its status, length and ETag, and whether a service encrypts it.
answer_of() {
  status= length= tag= kms=
  while IFS= read -r line; do
    line=\${line%"$cr"}
    case $line in
      HTTP/*) status=\${line#* }; status=\${status%% *}; length= tag= kms=;;
      [Cc]ontent-[Ll]ength:*) length=\${line##*[!0-9]};;
      [Ee][Tt][Aa][Gg]:*\\"*\\"*) tag=\${line#*\\"}; tag=\${tag%%\\"*};;
      [Ee][Tt][Aa][Gg]:*) tag=\${line#*:}; tag=\${tag#"\${tag%%[! ]*}"}; tag=\${tag%% *};;
      [Xx]-[Aa]mz-[Ss]erver-[Ss]ide-[Ee]ncryption:*aws:kms*) kms=1;;
    esac
  done <"$1"
}
is_refusal() { case $1 in 400|401|403|404|405|409|412|416) return 0;; esac; return 1; }
curl_options='-q -sS -f --connect-timeout 20 --speed-limit 1000 --speed-time 60'
mebi=1048576
`;

/** `sha256`: of standard input, in hexadecimal. `wait_for`: until a step is done, or nothing more comes. */
export const digests = `
if printf '' | openssl dgst -sha256 -r >/dev/null 2>&1; then hasher='openssl dgst -sha256 -r'; else hasher=sha256sum; fi
sha256() { digest=$($hasher) && echo "\${digest%% *}"; }
wait_for() { until [ -e "got.$1" ]; do [ -e halt ] && return 1; sleep 0.05; done; }
`;

/**
 * Steps of work that several processes, the lanes, share. A step that is done is noted in `done` and by a file of its own,
 * and not done again. What is under way is noted in `at.<lane>`: whose offset in which of its files tells how far it is, and
 * where it began. Each second the sum of both is written to `moved`. Files of a lane are used by one step after another.
 */
export const lanes = `
${storeTalk}
${digests}
finish() { echo "$1 $2 $3" >>done; : >"got.$1"; : >"at.$mine"; }
# Who makes the file of a step takes it.
takes() { [ ! -e "got.$1" ] && [ ! -e "took.$1" ] && ( set -C; : >"took.$1" ) 2>/dev/null; }
lane() {
  mine=$1 number=0
  while [ "$number" -lt "$steps" ]; do
    [ -e halt ] && return 1
    if takes "$number"; then
      step "$number"
      outcome=$?
      if [ "$outcome" -ne 0 ]; then : >halt; return "$outcome"; fi
    fi
    number=$((number+1))
  done
}
count_moved() {
  moved=0
  while read -r number bytes rest; do moved=$((moved+bytes)); done <done
  for at in at.*; do
    { read -r pid file from <"$at" && read -r word offset <"/proc/$pid/fdinfo/$file"; } 2>/dev/null || continue
    [ "$offset" -gt "$from" ] && moved=$((moved+offset-from))
  done
}
tell_moved() {
  told=0
  while sleep 1; do
    count_moved
    # A part whose last bytes are on their way has nobody to say how far it is.
    [ "$moved" -lt "$told" ] || { told=$moved; echo "$moved" >moved.new && mv -f moved.new moved; }
  done
}
# Where each connection brings 100 MB a second, more of them than processors only hold each other up.
is_fast() {
  for tenth in 1 2 3; do
    sleep 0.1
    [ -e "took.$((steps-1))" ] && return 0
    count_moved
    [ $((moved-before)) -ge $((first*30000000)) ] && return 0
    [ "$tenth" -lt 2 ] || [ $((moved-before)) -ge $((first*8000000)) ] || return 1
  done
  return 1
}
run_lanes() {
  cores=$(unset OMP_NUM_THREADS OMP_THREAD_LIMIT; nproc 2>/dev/null) || cores=$lanes
  count_moved
  before=$moved
  tell_moved >/dev/null 2>&1 &
  teller=$!
  pids= first=0 worst=0
  while [ "$first" -lt "$lanes" ] && [ "$first" -lt "$steps" ]; do
    lane "$first" &
    pids="$pids $!"
    first=$((first+1))
    [ "$first" -eq "$cores" ] && [ "$first" -lt "$lanes" ] && [ "$first" -lt "$steps" ] && is_fast && break
  done
  for pid in $pids; do
    wait "$pid"
    outcome=$?
    [ "$outcome" -gt "$worst" ] && worst=$outcome
  done
  kill "$teller" 2>/dev/null
  return "$worst"
}
`;

/**
 * `is_object`: whether the MD5s in `md5s`, a line for each part, make the ETag `etag` in the store's way: an MD5 of the MD5s
 * as bytes, and how many they are.
 */
export const objectSum = `
is_object() {
  octal=$(awk '{ for (n = 1; n < 32; n += 2) printf "\\\\%03o", 16 * digit(substr($0, n, 1)) + digit(substr($0, n + 1, 1)) }
    function digit(text) { return index("0123456789abcdef", text) - 1 }' md5s)
  md5=$(printf "$octal" | md5sum)
  [ "\${md5%% *}-\${etag#*-}" = "$etag" ]
}
`;

/**
 * A file that comes in ranges, not in their order: room for it, and its digests as it comes. `wanted` is the SHA-256 that
 * was named, `etag` that of the object, the MD5 of the MD5s of its parts, and `piece` the bytes of such a part; each may be
 * empty. `add_up`: whether it is what was sent, by the first, else by the second; 1: it was damaged on its way.
 */
export const arriving = `
block=65536
${hashing}
whole() {
  fed=0
  while [ "$fed" -lt "$steps" ]; do
    wait_for "$fed" || return 1
    dd if="$part" bs=$block skip=$((fed*range/block)) count=$((range/block)) 2>/dev/null || return 1
    fed=$((fed+1))
  done
}
of_parts() {
  number=0
  while [ "$number" -lt "\${etag#*-}" ]; do
    at=$((number*piece)); end=$((at+piece)); [ "$end" -le "$size" ] || end=$size
    while [ "$at" -lt "$end" ]; do
      wait_for $((at/range)) || return 1
      next=$(((at/range+1)*range)); [ "$next" -le "$end" ] || next=$end
      dd if="$part" bs=$block iflag=skip_bytes,count_bytes skip="$at" count=$((next-at)) 2>/dev/null || return 1
      at=$next
    done | md5sum
    number=$((number+1))
  done
}
${objectSum}
make_room() {
  # Where an earlier run was lost right after the last step, the file has its name already.
  if [ ! -e "$part" ] && { read -r sum <placing; } 2>/dev/null && [ "$(sha256 <"$target")" = "$sum" ]; then
    echo "sha256 $sum"
    exit 0
  fi
  if [ ! -e "$part" ]; then
    # Without it nothing is done, whatever an earlier run says.
    rm -f done
    free=$(df -Pk -- "\${part%/*}/" | awk 'NR == 2 { print $4 }')
    [ -n "$free" ] || exit 73 # df has said why
    [ "$free" -ge $((size/1024)) ] || { fail 73 'No space left on device'; exit 73; }
    : >"$part" || exit 73
  fi
  dd if=/dev/null of="$part" bs=1 seek="$size" 2>err.dd || { cat err.dd >&2; exit 73; }
}
begin_steps() {
  rm -f halt got.* took.* at.* moved
  : >>done
  while read -r number bytes etag_of_part; do : >"got.$number"; done <done
  looks= looker=
  [ -n "$wanted" ] || [ -z "$etag" ] || looks=1
  if [ -n "$python" ]; then
    { hash_of got "$range" "$size" "\${looks:+$piece}" "$part" >sum; echo $? >code.whole; } &
    summer=$!
  else
    { { whole; echo $? >code.whole; } | sha256 >sum; } &
    summer=$!
    if [ -n "$looks" ]; then { of_parts >md5s; } & looker=$!; fi
  fi
}
add_up() {
  wait "$summer"
  { read -r sum rest <sum && read -r code rest <code.whole && [ "$code" = 0 ]; } || { fail 73 'the file cannot be read'; return 73; }
  [ "$(stat -c %s -- "$part")" = "$size" ] || { fail 76 'the file has not the size it should have'; return 76; }
  if [ -n "$looks" ]; then
    { [ -z "$looker" ] || wait "$looker"; } && is_object && return 0
  else
    [ -z "$wanted" ] || [ "$wanted" = "$sum" ] && return 0
    if [ -z "$etag" ] || { of_parts >md5s && is_object; }; then
      fail 76 "the file has the SHA-256 $sum, not $wanted"
      return 76
    fi
  fi
  fail 1 'the file is not what the store has'
}
`;

/** The last steps of such a file: it is put on the disk and takes its name. Its digest is in `sum`. */
export const place = `
echo "$sum" >placing
dd if=/dev/null of="$part" conv=notrunc,fsync 2>err.dd || { cat err.dd >&2; exit 73; }
if [ -f "$target" ]; then chmod --reference="$target" -- "$part" || exit 73; fi
[ "$part" = "$target" ] || mv -fT -- "$part" "$target" || exit 73
sync -- "\${target%/*}/" 2>/dev/null
echo "sha256 $sum"
`;
