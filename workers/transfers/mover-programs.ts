/**
 * The two movers between the cluster and the staging store: POSIX sh, curl, and GNU's dd and stat. Addresses come on
 * standard input and reach curl by a pipe: on no command line, and in no file. Each part is streamed to or from its place
 * in the file, several at once, and repeated alone when it fails.
 *
 * Exit codes: 71 the store refused (expired address, object gone), 72 the store did not answer after several tries, 73
 * the file cannot be read or written, 75 the file changed meanwhile, 76 what arrived is not what was sent, 78 it is not what
 * the store has and may come right another time.
 */

export const moverExit = { refused: 71, silent: 72, file: 73, changed: 75, damaged: 76, unlike: 78 } as const;

/** How the programs talk to the store. An address goes to curl by a pipe. */
export const storeTalk = `
tries=5
fail() { echo "$2" >&2; return "$1"; }
fetch_url() {
  printf 'url = "%s"\\n' "$1"
}
status_of() { sed -n 's/^HTTP[^ ]* \\([0-9]*\\).*/\\1/p' "$1" | tail -n 1; }
is_refusal() { case $1 in 400|401|403|404|405|409|412|416) return 0;; esac; return 1; }
curl_options='-q -sS -f --connect-timeout 20 --speed-limit 1000 --speed-time 60'
mebi=1048576
`;

/** Steps of work that several processes share. A step that is done is noted in `done`, and not done again. */
const lanes = `
${storeTalk}
came_of() { sed -n 's/^\\([0-9]*\\) byte.*/\\1/p' "$1"; }
lane() {
  number=$1
  while [ "$number" -lt "$steps" ]; do
    [ -e halt ] && return 1
    if ! grep -q "^$number " done; then
      step "$number"
      outcome=$?
      if [ "$outcome" -ne 0 ]; then : >halt; return "$outcome"; fi
    fi
    number=$((number+lanes))
  done
}
run_lanes() {
  rm -f halt
  : >>done
  pids= first=0 worst=0
  while [ "$first" -lt "$lanes" ] && [ "$first" -lt "$steps" ]; do
    lane "$first" &
    pids="$pids $!"
    first=$((first+1))
  done
  for pid in $pids; do
    wait "$pid"
    outcome=$?
    [ "$outcome" -gt "$worst" ] && worst=$outcome
  done
  return "$worst"
}
`;

/**
 * The ETag that a store gives to what came in parts: the MD5 of their MD5s, and how many they were. Of standard input;
 * arguments: bytes of a part, how many.
 */
export const objectEtag = `
etag_of() {
  number=0
  octal=$(while [ "$number" -lt "$2" ]; do
    dd bs=1048576 count="$1" iflag=fullblock,count_bytes 2>/dev/null | md5sum
    number=$((number+1))
  done | awk '
    { for (n = 1; n < 32; n += 2) printf "\\\\%03o", 16 * digit(substr($0, n, 1)) + digit(substr($0, n + 1, 1)) }
    function digit(text) { return index("0123456789abcdef", text) - 1 }')
  etag_sum=$(printf "$octal" | md5sum)
  echo "\${etag_sum%% *}-$2"
}
`;

/**
 * The last steps of a file that has come. \`add_up\`: whether it is what was sent, by the SHA-256 that was named, else by
 * the object's ETag; 1: it was damaged on its way. \`place\`: it is put on the disk and takes its name.
 */
const place = `
${objectEtag}
is_object() { [ "$(etag_of "$piece" "\${etag#*-}" <"$part")" = "$etag" ]; }
add_up() {
  [ "$(stat -c %s -- "$part")" = "$size" ] || { fail 76 'the file has not the size it should have'; return 76; }
  looker=
  if [ -z "$wanted" ] && [ -n "$etag" ]; then is_object & looker=$!; fi
  sum=$(sha256sum <"$part") || return 73
  sum=\${sum%% *}
  if [ -n "$looker" ]; then
    wait "$looker" && return 0
  else
    [ -z "$wanted" ] || [ "$wanted" = "$sum" ] && return 0
    if [ -z "$etag" ] || is_object; then fail 76 "the file has the SHA-256 $sum, not $wanted"; return 76; fi
  fi
  fail 1 'the file is not what the store has'
}
place() {
  dd if=/dev/null of="$part" conv=notrunc,fsync 2>err.dd || { cat err.dd >&2; return 73; }
  if [ -f "$target" ]; then chmod --reference="$target" -- "$part" || return 73; fi
  [ "$part" = "$target" ] || mv -fT -- "$part" "$target" || return 73
}
`;

/** What passed elsewhere is compared with the file: a digest a line on standard input for each part. */
const compare = `
mebi=1048576
fail() { echo "$2" >&2; return "$1"; }
compare() {
  number=0
  while read -r sum; do
    got=$(dd if="$1" bs=$mebi skip=$((number*range/mebi)) count=$((range/mebi)) 2>/dev/null | sha256sum)
    [ "\${got%% *}" = "$sum" ] || { fail "$2" "$3"; return "$2"; }
    number=$((number+1))
  done
}
`;

/**
 * Arguments: partial file, target, bytes, bytes of a part (whole MiB), SHA-256 or empty, ETag of the object or empty,
 * bytes of the parts that it came in. Prints `sha256 <hex>`.
 */
export const placeProgram = `
part=$1 target=$2 size=$3 range=$4 wanted=$5 etag=$6 piece=$7
${compare}
${place}
# Where an earlier run was lost right after the last step, the file has its name already.
if [ ! -e "$part" ]; then if [ "$size" -eq 0 ]; then : >"$part" || exit 73; else part=$target; fi; fi
compare "$part" 76 'the file is not what came from the store' || exit $?
add_up
outcome=$?
[ "$outcome" -ne 1 ] || exit 78
[ "$outcome" -eq 0 ] || exit "$outcome"
place || exit $?
echo "sha256 $sum"
`;

/** Arguments: file, bytes, seconds of its last change, bytes of a part (whole MiB). Prints `sha256 <hex>`. */
export const checkProgram = `
source=$1 size=$2 mtime=$3 range=$4
${compare}
same() { case $(stat -Lc '%s %Y ' -- "$source") in "$size $mtime "*) ;; *) fail 75 'the file changed while it was read';; esac; }
same || exit $?
compare "$source" 75 'the file changed while it was read' || exit $?
sum=$(sha256sum <"$source") || exit 73
same || exit $?
echo "sha256 \${sum%% *}"
`;

/**
 * From the store into a file. Arguments: partial file, target, bytes, bytes of a range (whole MiB), ranges at once,
 * SHA-256 or empty, ETag of the object or empty, bytes of the parts that it came in. Standard input: the address. Prints
 * `sha256 <hex>`.
 */
export const pullProgram = `
part=$1 target=$2 size=$3 range=$4 lanes=$5 wanted=$6 etag=$7 piece=$8
IFS= read -r url || exit 71
${lanes}
${place}
steps=$(((size+range-1)/range))
step() {
  from=$(($1*range)); to=$((from+range)); [ "$to" -le "$size" ] || to=$size
  bytes=$((to-from)); try=0
  while :; do
    { fetch_url "$url" | curl $curl_options -K - -D "head.$1" -r "$from-$((to-1))"; echo $? >"code.$1"; } |
      dd of="$part" bs=$mebi seek=$((from/mebi)) conv=notrunc 2>"dd.$1"
    wrote=$?
    { read -r code <"code.$1"; } 2>/dev/null
    status=$(status_of "head.$1")
    if [ "$wrote" -ne 0 ]; then cat "dd.$1" >&2; return 73; fi
    if [ "$code" = 0 ]; then
      # A store that ignores ranges answers 200 with everything.
      if [ "$status" = 206 ] || { [ "$status" = 200 ] && [ "$bytes" -eq "$size" ]; }; then
        came=$(came_of "dd.$1")
        if [ "$came" = "$bytes" ]; then rm -f "head.$1" "code.$1" "dd.$1"; echo "$1 $bytes" >>done; return 0; fi
      else fail 76 "the store answered a range with status $status"; return 76; fi
    fi
    is_refusal "$status" && { fail 71 "the store refused a range with status $status"; return 71; }
    try=$((try+1))
    [ "$try" -lt "$tries" ] || { fail 72 'the store did not answer'; return 72; }
    sleep $((1<<(try-1)))
  done
}
free=$(df -Pk -- "\${part%/*}/" | awk 'NR == 2 { print $4 }')
[ -e "$part" ] || [ "\${free:-0}" -ge $((size/1024)) ] || { fail 73 'No space left on device'; exit 73; }
# Without it nothing is done, whatever an earlier run says.
[ -e "$part" ] || { : >"$part" && : >done; } || exit 73
dd if=/dev/null of="$part" bs=1 seek="$size" 2>err.dd || { cat err.dd >&2; exit 73; }
run_lanes || exit $?
add_up
outcome=$?
if [ "$outcome" -eq 1 ]; then
  # Which part it was nobody can tell: all of them once more.
  : >done
  run_lanes || exit $?
  add_up
  outcome=$?
fi
[ "$outcome" -ne 1 ] || exit 76
[ "$outcome" -eq 0 ] || exit "$outcome"
place || exit $?
echo "sha256 $sum"
`;

/**
 * From a file into the store. Arguments: file, bytes, seconds of its last change, bytes of a part (whole MiB), parts at
 * once. Standard input: the address of each part, a line each. Prints `sha256 <hex>` and `part <number> <ETag>` for each.
 */
export const pushProgram = `
source=$1 size=$2 mtime=$3 part=$4 lanes=$5
steps=0
while IFS= read -r url; do eval "url_$steps=\\$url"; steps=$((steps+1)); done
${lanes}
step() {
  eval "url=\\$url_$1"
  from=$(($1*part)); bytes=$((size-from)); [ "$bytes" -le "$part" ] || bytes=$part
  try=0
  while :; do
    sum=$(dd if="$source" bs=$mebi skip=$((from/mebi)) count=$((part/mebi)) 2>"dd.$1" | md5sum); sum=\${sum%% *}
    fetch_url "$url" | {
      exec 3<&0
      { dd if="$source" bs=$mebi skip=$((from/mebi)) count=$((part/mebi)) 2>"dd.$1"
        # What is missing of a file that shrank is made up for, or curl would wait for it; it is not taken for good below.
        came=$(came_of "dd.$1")
        [ -z "$came" ] || [ "$came" -ge "$bytes" ] || head -c $((bytes-came)) /dev/zero; } |
        { curl $curl_options -K /dev/fd/3 -D "head.$1" -o /dev/null -T - -H 'Transfer-Encoding:' -H "Content-Length: $bytes"
          echo $? >"code.$1"; }
    }
    { read -r code <"code.$1"; } 2>/dev/null
    came=$(came_of "dd.$1")
    [ "$(stat -Lc %s -- "$source")" = "$size" ] || { fail 75 'the file changed while it was read'; return 75; }
    # A dd whose reader went away says nothing.
    if grep -v "'standard output'" "dd.$1" | grep -q '^dd: '; then cat "dd.$1" >&2; return 73; fi
    status=$(status_of "head.$1")
    etag=$(sed -n 's/^[Ee][Tt][Aa][Gg]: *"\\{0,1\\}\\([^"[:space:]]*\\).*/\\1/p' "head.$1" | tail -n 1)
    if [ "$code" = 0 ] && [ "$came" = "$bytes" ] && [ -n "$etag" ]; then
      # An ETag of 32 digits is the part's MD5, but where the store encrypts with keys of a service.
      case $etag in *[!0-9a-f]*) isSame=1;; *)
        if [ "\${#etag}" -ne 32 ] || [ "$etag" = "$sum" ] || grep -qi '^x-amz-server-side-encryption: *aws:kms' "head.$1"
        then isSame=1; else isSame=; fi;;
      esac
      if [ -n "$isSame" ]; then rm -f "head.$1" "code.$1" "dd.$1"; echo "$1 $bytes $etag" >>done; return 0; fi
    fi
    is_refusal "$status" && { fail 71 "the store refused a part with status $status"; return 71; }
    try=$((try+1))
    [ "$try" -lt "$tries" ] || { fail 72 'the store did not answer'; return 72; }
    sleep $((1<<(try-1)))
  done
}
facts=$(stat -Lc '%s %Y %y %i' -- "$source") || exit 73
case $facts in "$size $mtime "*) ;; *) fail 75 'the file changed before it was read'; exit 75;; esac
{ sha256sum <"$source" || exit 73; } >sum &
hasher=$!
run_lanes || exit $?
wait "$hasher" || exit 73
[ "$(stat -Lc '%s %Y %y %i' -- "$source")" = "$facts" ] || { fail 75 'the file changed while it was read'; exit 75; }
read -r sum rest <sum
echo "sha256 $sum"
while read -r number bytes etag; do echo "part $number $etag"; done <done
`;
