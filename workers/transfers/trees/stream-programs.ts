/**
 * Streams between a program on the cluster and the staging store: POSIX sh, curl and GNU coreutils. What is written is
 * cut into parts on its way, and what is read is put together from ranges, several of them at once; no more of it than
 * those stands on the disk at a time, in the directory of the work. Addresses come on standard input and reach curl by a
 * pipe. Exit codes are those of the movers, and 77: entries of the tree failed.
 */
import { objectSum, storeTalk } from '../mover-programs.ts';

/** Exit code of a tree's programs where entries failed that should not have. */
export const entriesFailed = 77;

const streams = `
${storeTalk}
fresh() { rm -f names facts facts.unpacked entries list stream parts sum md5s code.* piece.* head.* && mkfifo stream || exit 73; }
code_of() { read -r found <"code.$1" 2>/dev/null || found=1; echo "$found"; }
tell() {
  read -r sum rest <sum
  echo "sha256 $sum"
  for told in facts.unpacked facts names; do [ -e "$told" ] && sed "s/^/$told /" "$told"; done
  return 0
}
# The cause, where several of the stages failed: what the store said, then what the program said.
worst_of() {
  case $1 in 71|72) return "$1";; esac
  [ "$2" -eq 0 ] || [ "$2" -eq 141 ] || return "$2"
  return "$1"
}
command -v perl >/dev/null || { fail 73 'perl was not found on this system'; exit 73; }
`;

/** Arguments: Perl's walk and its program, bytes of a part (whole MiB), parts at once, then the program's own. Standard input: the
 * address of a list, or an empty line; the address of each part. Prints what \`tell\` tells, \`part <number> <ETag>\`, and \`size <bytes>\`. */
export const treePushProgram = `
program=$1$2 part=$3 lanes=$4; shift 4
IFS= read -r listed
steps=0
while IFS= read -r url; do eval "url_$steps=\\$url"; steps=$((steps+1)); done
${streams}
fresh
# What an earlier run has put there, and is the same again, is not sent again.
touch done && mv -f done before
: >done
if [ -n "$listed" ]; then
  fetch_url "$listed" | curl $curl_options --retry 4 -K - -o list || { fail 71 'the list of the target could not be read'; exit 71; }
fi
send() {
  eval "url=\\$url_$1"
  sum=$(md5sum <"piece.$1"); sum=\${sum%% *}
  if grep -q "^$1 $2 $sum\\$" before; then grep "^$1 $2 $sum\\$" before | head -n 1 >>done; rm -f "piece.$1"; return 0; fi
  try=0
  while :; do
    fetch_url "$url" | curl $curl_options -K - -D "head.$1" -o /dev/null -T "piece.$1"
    code=$?
    status=$(status_of "head.$1")
    etag=$(sed -n 's/^[Ee][Tt][Aa][Gg]: *"\\{0,1\\}\\([^"[:space:]]*\\).*/\\1/p' "head.$1" | tail -n 1)
    if [ "$code" = 0 ] && [ -n "$etag" ]; then
      # An ETag of 32 digits is the part's MD5, but where the store encrypts with keys of a service.
      is_same=
      case $etag in *[!0-9a-f]*) is_same=1;; *)
        if [ "\${#etag}" -ne 32 ] || [ "$etag" = "$sum" ] || grep -qi '^x-amz-server-side-encryption: *aws:kms' "head.$1"
        then is_same=1; fi;;
      esac
      if [ -n "$is_same" ]; then rm -f "head.$1" "piece.$1"; echo "$1 $2 $etag" >>done; return 0; fi
    fi
    is_refusal "$status" && { fail 71 "the store refused a part with status $status"; return 71; }
    try=$((try+1))
    [ "$try" -lt "$tries" ] || { fail 72 'the store did not answer'; return 72; }
    sleep $((1<<(try-1)))
  done
}
cut_parts() {
  number=0 waited=0 size=0
  while :; do
    dd of="piece.$number" bs=$mebi count=$((part/mebi)) iflag=fullblock 2>err.dd || { cat err.dd >&2; return 73; }
    bytes=$(stat -c %s "piece.$number")
    if [ "$bytes" -eq 0 ] && [ "$number" -gt 0 ]; then rm -f "piece.$number"; break; fi
    [ "$number" -lt "$steps" ] || { fail 75 'the tree grew while it was read'; return 75; }
    size=$((size+bytes))
    send "$number" "$bytes" &
    eval "pid_$number=$!"
    number=$((number+1))
    if [ $((number-waited)) -ge "$lanes" ]; then
      eval "wait \\$pid_$waited" || return $?
      waited=$((waited+1))
    fi
    [ "$bytes" -eq "$part" ] || break
  done
  while [ "$waited" -lt "$number" ]; do eval "wait \\$pid_$waited" || return $?; waited=$((waited+1)); done
  echo "size $size" >code.size
}
sha256sum <stream >sum &
hasher=$!
{ perl -e "$program" "$@"; echo $? >code.program; } | tee stream | cut_parts
worst_of $? "$(code_of program)"
outcome=$?
wait "$hasher"
tell
[ "$outcome" -eq 0 ] || exit "$outcome"
cat code.size
while read -r number bytes etag; do echo "part $number $etag"; done <done
`;

/** Arguments: Perl's walk and its two programs, to unpack and to place; bytes of the object, bytes of a range (whole MiB), ranges at once, SHA-256 or
 * empty, number of the run, ETag of the object or empty, bytes of the parts that it came in, directory to unpack in, target, \`tree\` or \`file\`, whether to merge, what counts as the
 * same, whether failing entries are left out, then the filters. Standard input: the address. */
export const treePullProgram = `
unpack=$1$2 place=$1$3 size=$4 range=$5 lanes=$6 wanted=$7 run=$8; shift 8
etag=$1 piece=$2 into=$3; shift 3
target=$1 kind=$2 merges=$3 sync=$4 skips=$5; shift 5
IFS= read -r url || exit 71
${streams}
${objectSum}
fresh
: >done
# An earlier run has come to its end, and could not say so: what it put there is brought up to date.
[ "$run" -gt 1 ] && [ ! -e "$into" ] && [ -e "$target" ] && merges=1
if [ -e "$into" ]; then chmod -R u+rwX -- "$into"; rm -rf -- "$into" || exit 73; fi
free=$(df -Pk -- "\${into%/*}/" | awk 'NR == 2 { print $4 }')
[ "\${free:-0}" -ge $((size/1024)) ] || { fail 73 'No space left on device'; exit 73; }
steps=$(((size+range-1)/range))
fetch() {
  from=$(($1*range)); to=$((from+range)); [ "$to" -le "$size" ] || to=$size
  bytes=$((to-from)); try=0
  while :; do
    fetch_url "$url" | curl $curl_options -K - -D "head.$1" -o "piece.$1" -r "$from-$((to-1))"
    code=$?
    status=$(status_of "head.$1")
    if [ "$code" = 0 ]; then
      # A store that ignores ranges answers 200 with everything.
      if [ "$status" = 206 ] || { [ "$status" = 200 ] && [ "$bytes" -eq "$size" ]; }; then
        if [ "$(stat -c %s "piece.$1")" = "$bytes" ]; then rm -f "head.$1"; echo "$1 $bytes" >>done; return 0; fi
      else fail 76 "the store answered a range with status $status"; return 76; fi
    fi
    is_refusal "$status" && { fail 71 "the store refused a range with status $status"; return 71; }
    try=$((try+1))
    [ "$try" -lt "$tries" ] || { fail 72 'the store did not answer'; return 72; }
    sleep $((1<<(try-1)))
  done
}
begin() { fetch "$1" >&2 & eval "pid_$1=$!"; }
feed() {
  number=0
  while [ "$number" -lt "$lanes" ] && [ "$number" -lt "$steps" ]; do begin "$number"; number=$((number+1)); done
  fed=0
  while [ "$fed" -lt "$steps" ]; do
    eval "wait \\$pid_$fed" || return $?
    cat "piece.$fed" || return 141
    rm -f "piece.$fed"
    [ "$number" -lt "$steps" ] && { begin "$number"; number=$((number+1)); }
    fed=$((fed+1))
  done
}
sha256sum <stream >sum &
hasher=$!
# What a client has not given a digest for is held against those that the store made of the parts as they came from the client.
summer=
if [ -z "$wanted" ] && [ -n "$etag" ]; then
  mkfifo parts || exit 73
  { number=0; while [ "$number" -lt "\${etag#*-}" ]; do head -c "$piece" | md5sum; number=$((number+1)); done >md5s; cat >/dev/null; } <parts &
  summer=$!
fi
{ feed; echo $? >code.feed; } | tee stream \${summer:+parts} | perl -e "$unpack" "$into" "$kind" "$skips" "$@"
worst_of "$(code_of feed)" $?
outcome=$?
[ "$outcome" -eq 141 ] && outcome=72
wait "$hasher"
if [ "$outcome" -eq 0 ]; then
  read -r sum rest <sum
  if [ -n "$wanted" ] && [ "$wanted" != "$sum" ]; then
    fail 76 "the archive has the SHA-256 $sum, not $wanted"; outcome=76
  elif [ -n "$summer" ] && { ! wait "$summer" || ! is_object; }; then
    fail 76 'the archive is not what the store has'
    # Once more, by another run: it was damaged on its way.
    if [ -e unlike ]; then outcome=76; else : >unlike; outcome=72; fi
  else
    mv facts facts.unpacked
    perl -e "$place" "$into" "$target" "$kind" "$merges" "$sync" "$skips"
    outcome=$?
  fi
fi
tell
if [ -e "$into" ]; then chmod -R u+rwX -- "$into"; rm -rf -- "$into"; fi
exit "$outcome"
`;

/** Arguments: Perl's walk and its program, then the program's own. Prints what \`tell\` tells but for the digest. */
export const treeLookProgram = `
program=$1$2; shift 2
command -v perl >/dev/null || { echo 'perl was not found on this system' >&2; exit 73; }
rm -f facts names entries
perl -e "$program" "$@" || exit $?
sed 's/^/facts /' facts
`;
