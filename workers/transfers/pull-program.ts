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
  : >"head.$mine"; : >"code.$mine"; : >"said.$mine"
  fetch_url "$url" | {
    exec 3<&0
    { dd bs=$mebi seek=$((from/mebi)) count=0 </dev/null 2>"said.$mine" || exit 1
      curl $curl_options -K /dev/fd/3 -D "head.$mine" -r "$from-$((to-1))" 2>"said.$mine" &
      echo "$! 1 $from" >"at.$mine"
      wait $!
      echo $? >"code.$mine"
    } 1<>"$part"
  }
}
step() {
  from=$(($1*range)); to=$((from+range)); [ "$to" -le "$size" ] || to=$size
  bytes=$((to-from)); try=0
  while :; do
    fetch
    read -r code <"code.$mine"
    [ -n "$code" ] || { cat "said.$mine" >&2; return 73; }
    if [ "$code" = 23 ]; then
      # Why it cannot be written.
      dd if=/dev/zero of="$part" bs=$mebi seek=$((from/mebi)) iflag=count_bytes count="$bytes" conv=notrunc 2>"said.$mine" ||
        { grep -v records "said.$mine" >&2; return 73; }
    fi
    answer_of "head.$mine"
    if [ "$code" = 0 ]; then
      # A store that ignores ranges answers 200 with everything; curl has held what came against the length announced.
      if [ "$status" = 206 ] || { [ "$status" = 200 ] && [ "$bytes" -eq "$size" ]; }; then
        [ "$length" = "$bytes" ] || { fail 76 "the store answered a range with $length bytes, not $bytes"; return 76; }
        finish "$1" "$bytes"
        return 0
      else fail 76 "the store answered a range with status $status"; return 76; fi
    fi
    is_refusal "$status" && { fail 71 "the store refused a range with status $status"; return 71; }
    try=$((try+1))
    [ "$try" -lt "$tries" ] || { cat "said.$mine" >&2; fail 72 'the store did not answer'; return 72; }
    sleep $((1<<(try-1)))
  done
}
${arriving}
make_room
# Ranges of another size, as another version of this program fetched them, are not those that are counted here.
before=; { read -r before <ranges; } 2>/dev/null
[ "$before" = "$range" ] || rm -f done
echo "$range" >ranges
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
