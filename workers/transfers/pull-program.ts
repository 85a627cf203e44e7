/**
 * From the store into a file beside the target, several ranges at once, each written at its place and repeated alone when
 * it fails. The whole is hashed while it comes. What a client has not given a digest for is held against the digests that
 * the store made of the parts as they came from the client.
 */
import { arriving, lanes, place } from './mover-programs.ts';

/**
 * Arguments: partial file, target, bytes, bytes of a range (whole MiB), ranges at once, SHA-256 or empty, ETag of the
 * object or empty, bytes of the parts that it came in. Standard input: the address. Prints `sha256 <hex>`.
 */
export const pullProgram = `
part=$1 target=$2 size=$3 range=$4 lanes=$5 wanted=$6 etag=$7 piece=$8
IFS= read -r url || exit 71
${lanes}
steps=$(((size+range-1)/range))
# curl writes at the offset that dd has set for the file they share.
fetch() {
  rm -f "head.$1" "code.$1"
  fetch_url "$url" | {
    exec 3<&0
    { dd bs=$mebi seek=$((from/mebi)) count=0 </dev/null 2>"said.$1" || exit 1
      curl $curl_options -K /dev/fd/3 -D "head.$1" -r "$from-$((to-1))" 2>"said.$1" &
      echo "$! 1 $from" >"at.$1"
      wait $!
      echo $? >"code.$1"
    } 1<>"$part"
  }
}
step() {
  from=$(($1*range)); to=$((from+range)); [ "$to" -le "$size" ] || to=$size
  bytes=$((to-from)); try=0
  while :; do
    fetch "$1"
    code=
    { read -r code <"code.$1"; } 2>/dev/null
    [ -n "$code" ] || { cat "said.$1" >&2; return 73; }
    if [ "$code" = 23 ]; then
      # Why it cannot be written.
      dd if=/dev/zero of="$part" bs=$mebi seek=$((from/mebi)) iflag=count_bytes count="$bytes" conv=notrunc 2>"said.$1" ||
        { grep -v records "said.$1" >&2; return 73; }
    fi
    status=$(status_of "head.$1" 2>/dev/null)
    if [ "$code" = 0 ]; then
      # A store that ignores ranges answers 200 with everything; curl has held what came against the length announced.
      if [ "$status" = 206 ] || { [ "$status" = 200 ] && [ "$bytes" -eq "$size" ]; }; then
        length=$(sed -n 's/^[Cc]ontent-[Ll]ength: *\\([0-9]*\\).*/\\1/p' "head.$1" | tail -n 1)
        [ "$length" = "$bytes" ] || { fail 76 "the store answered a range with $length bytes, not $bytes"; return 76; }
        finish "$1" "$bytes"
        return 0
      else fail 76 "the store answered a range with status $status"; return 76; fi
    fi
    is_refusal "$status" && { fail 71 "the store refused a range with status $status"; return 71; }
    try=$((try+1))
    [ "$try" -lt "$tries" ] || { cat "said.$1" >&2; fail 72 'the store did not answer'; return 72; }
    sleep $((1<<(try-1)))
  done
}
${arriving}
make_room
begin_steps
run_lanes || exit $?
add_up
outcome=$?
if [ "$outcome" -eq 1 ]; then
  # Which part it was nobody can tell: all of them once more.
  rm -f done
  begin_steps
  run_lanes || exit $?
  add_up
  outcome=$?
fi
[ "$outcome" -ne 1 ] || exit 76
[ "$outcome" -eq 0 ] || exit "$outcome"
${place}
`;
