/**
 * From a file into the store, several parts at once, each read at its place, held against the digest that the store made of
 * it, and repeated alone when it fails. The whole is hashed meanwhile.
 */
import { lanes } from './mover-programs.ts';

/**
 * Arguments: file, bytes, seconds of its last change, bytes of a part (whole MiB), parts at once. Standard input: the
 * address of each part, a line each. Prints `sha256 <hex>` and `part <number> <ETag>` for each.
 */
export const pushProgram = `
source=$1 size=$2 mtime=$3 part=$4 lanes=$5
steps=0
while IFS= read -r url; do eval "url_$steps=\\$url"; steps=$((steps+1)); done
${lanes}
block=65536
# What dd said, without a process: bytes that came, and whether it found fault. One whose reader went away says nothing.
heard_of() {
  came= fault=
  while IFS= read -r line; do
    case $line in
      [0-9]*' byte'*) came=\${line%% *};;
      'dd: '*"'standard output'"*) ;;
      'dd: '*) fault=1;;
    esac
  done <"$1"
}
send() {
  : >"head.$mine"; : >"code.$mine"; : >"said.$mine"
  [ -p "pipe.$mine" ] || mkfifo "pipe.$mine" || return 73
  md5sum <"pipe.$mine" >"md5.$mine" &
  summer=$!
  fetch_url "$url" | {
    exec 3<&0
    { dd if="$source" bs=$block skip=$((from/block)) count=$((part/block)) 2>"said.$mine" &
      echo "$! 0 $from" >"at.$mine"
      wait $!
      # What is missing of a file that shrank is made up for, or curl would wait for it; it is not taken for good below.
      heard_of "said.$mine"
      [ -z "$came" ] || [ "$came" -ge "$bytes" ] || head -c $((bytes-came)) /dev/zero
    } | tee "pipe.$mine" |
      { curl $curl_options -K /dev/fd/3 -D "head.$mine" -o /dev/null -T - -H 'Transfer-Encoding:' -H "Content-Length: $bytes"
        echo $? >"code.$mine"; }
  }
  wait "$summer"
}
step() {
  eval "url=\\$url_$1"
  from=$(($1*part)); bytes=$((size-from)); [ "$bytes" -le "$part" ] || bytes=$part
  try=0
  while :; do
    send || return $?
    read -r code <"code.$mine"
    heard_of "said.$mine"
    [ "$(stat -Lc %s -- "$source")" = "$size" ] || { fail 75 'the file changed while it was read'; return 75; }
    if [ -n "$fault" ]; then cat "said.$mine" >&2; return 73; fi
    answer_of "head.$mine"
    read -r sum rest <"md5.$mine"
    if [ "$code" = 0 ] && [ "$came" = "$bytes" ] && [ -n "$tag" ]; then
      # An ETag of 32 digits is the part's MD5, but where the store encrypts with keys of a service.
      case $tag in *[!0-9a-f]*) isSame=1;; *)
        if [ "\${#tag}" -ne 32 ] || [ "$tag" = "$sum" ] || [ -n "$kms" ]; then isSame=1; else isSame=; fi;;
      esac
      if [ -n "$isSame" ]; then finish "$1" "$bytes" "$tag"; return 0; fi
    fi
    is_refusal "$status" && { fail 71 "the store refused a part with status $status"; return 71; }
    try=$((try+1))
    [ "$try" -lt "$tries" ] || { fail 72 'the store did not answer'; return 72; }
    sleep $((1<<(try-1)))
  done
}
facts=$(stat -Lc '%s %Y %y %i' -- "$source") || exit 73
case $facts in "$size $mtime "*) ;; *) fail 75 'the file changed before it was read'; exit 75;; esac
rm -f halt got.* took.* at.* moved
: >>done
while read -r number bytes etag; do : >"got.$number"; done <done
{ sha256 <"$source" >sum; } &
sums=$!
run_lanes || exit $?
wait "$sums"
{ read -r sum rest <sum && [ -n "$sum" ]; } || { fail 73 'the file cannot be read'; exit 73; }
[ "$(stat -Lc '%s %Y %y %i' -- "$source")" = "$facts" ] || { fail 75 'the file changed while it was read'; exit 75; }
echo "sha256 $sum"
while read -r number bytes etag; do echo "part $number $etag"; done <done
`;
