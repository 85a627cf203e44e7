/**
 * From a file into the store, several parts at once, each read at its place, held against the digest that the store made of
 * it, and repeated alone when it fails. The whole is hashed meanwhile.
 */
import { hashing } from './hash-program.ts';
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
${hashing}
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
post() {
  curl $curl_options -K /dev/fd/3 -D "head.$mine" -o /dev/null -T - -H 'Transfer-Encoding:' -H "Content-Length: $bytes"
  echo $? >"code.$mine"
}
send() {
  : >"head.$mine"; : >"code.$mine"; : >"said.$mine"
  if [ -z "$python" ]; then
    [ -p "pipe.$mine" ] || mkfifo "pipe.$mine" || return 73
    md5sum <"pipe.$mine" >"md5.$mine" &
    summer=$!
  fi
  fetch_url "$url" | {
    exec 3<&0
    { dd if="$source" bs=$block skip=$((from/block)) count=$((part/block)) 2>"said.$mine" &
      echo "$! 0 $from" >"at.$mine"
      wait $!
      # What is missing of a file that shrank is made up for, or curl would wait for it; it is not taken for good below.
      heard_of "said.$mine"
      [ -z "$came" ] || [ "$came" -ge "$bytes" ] || head -c $((bytes-came)) /dev/zero
    } | if [ -n "$python" ]; then post; else tee "pipe.$mine" | post; fi
  }
  [ -n "$python" ] || wait "$summer"
}
# The MD5 of a part, in \`sum\`; 1: another lane has failed, and nobody makes it any more.
md5_of() {
  if [ -z "$python" ]; then read -r sum rest <"md5.$mine"; return; fi
  until [ -e "sum.$1" ]; do
    [ -e halt ] && return 1
    [ ! -e hashed ] || [ -e "sum.$1" ] || { fail 73 'the file cannot be read'; return 73; }
    sleep 0.05
  done
  read -r sum <"sum.$1"
}
is_as_before() { [ "$(stat -Lc '%s %Y %y %i' -- "$source")" = "$facts" ]; }
step() {
  eval "url=\\$url_$1"
  from=$(($1*part)); bytes=$((size-from)); [ "$bytes" -le "$part" ] || bytes=$part
  try=0
  while :; do
    send || return $?
    read -r code <"code.$mine"
    heard_of "said.$mine"
    is_as_before || { fail 75 'the file changed while it was read'; return 75; }
    if [ -n "$fault" ]; then cat "said.$mine" >&2; return 73; fi
    answer_of "head.$mine"
    if [ "$code" = 0 ] && [ "$came" = "$bytes" ] && [ -n "$tag" ]; then
      # An ETag of 32 digits is the part's MD5, but where the store encrypts with keys of a service.
      isSame=1
      case $kms$tag in *[!0-9a-f]*) ;; ????????????????????????????????)
        md5_of "$1" || return $?
        [ "$tag" = "$sum" ] || isSame=;;
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
rm -f halt hashed sum sum.* got.* took.* at.* moved
: >>done
while read -r number bytes etag; do : >"got.$number"; done <done
if [ -n "$python" ]; then { hash_of took "$part" "$size" "$part" "$source" >sum; : >hashed; } &
else { sha256 <"$source" >sum; } &
fi
sums=$!
run_lanes || exit $?
wait "$sums"
{ read -r sum rest <sum && [ -n "$sum" ]; } || { fail 73 'the file cannot be read'; exit 73; }
is_as_before || { fail 75 'the file changed while it was read'; exit 75; }
echo "sha256 $sum"
while read -r number bytes etag; do echo "part $number $etag"; done <done
`;
