/**
 * What a cluster does about bytes that pass through a worker. It reads and writes the parts at their places, and hashes, as
 * they come and go: the worker passes on, and SSH sees to it that what it passes on is what came.
 */
import { arriving, digests, place } from './mover-programs.ts';

/** The file cannot be read, or nobody takes what is read. */
const brokeOff = 73;

/**
 * In Python, which needs neither a second process nor a pipe between the two: the digest of a range of a file to standard
 * output, a line, and behind it the range. Arguments: algorithm, file, first byte, bytes, seconds after which a space before the
 * digest says that it is still read. It is read twice, the second time from memory into the pipe without a copy, where the
 * file system can. Every other exit code than 0 and 73 comes before the first byte.
 */
const sendProgram = `
import fcntl, hashlib, os, sys, time
digest = hashlib.new(sys.argv[1])
try:
  file, at, left, room = os.open(sys.argv[2], os.O_RDONLY), int(sys.argv[3]), int(sys.argv[4]), memoryview(bytearray(1 << 18))
  end, said = at + left, time.monotonic()
  while left > 0:
    read = os.preadv(file, [room[: min(len(room), left)]], end - left)
    if read == 0:
      sys.exit(${brokeOff})
    digest.update(room[:read])
    left -= read
    if time.monotonic() - said >= float(sys.argv[5]):
      os.write(1, bytes([32]))
      said = time.monotonic()
  os.write(1, digest.hexdigest().encode() + bytes([10]))
  try:
    fcntl.fcntl(1, 1031, 1 << 20)
  except OSError:
    pass
  copies = False
  while at < end:
    if not copies:
      try:
        gone = os.sendfile(1, file, at, end - at)
      except OSError:
        copies = True
    if copies:
      gone = os.preadv(file, [room[: min(len(room), end - at)]], at)
      sent = 0
      while sent < gone:
        sent += os.write(1, room[sent:gone])
    if gone == 0:
      sys.exit(${brokeOff})
    at += gone
except OSError:
  sys.exit(${brokeOff})
`;

/** In Python: the SHA-256 of standard input. */
const hashProgram = `
import hashlib, os
digest, room = hashlib.sha256(), memoryview(bytearray(1 << 20))
while True:
  read = os.readv(0, [room])
  if read == 0:
    break
  digest.update(room[:read])
print(digest.hexdigest())
`;

/**
 * Arguments: directory of the work, file, first byte (whole MiB), bytes, `sha256` or `md5`, seconds. To standard output go
 * that digest of the bytes, a line, and the bytes; where Python makes it, a space before it each so many seconds. Exit code 72: the work has found fault with the file, or nobody is at work.
 */
export const readPartProgram = `
cd && cd -- "$1" || exit 72
tries=300
until [ -e ready ]; do [ -e ended ] || [ "$tries" -eq 0 ] && exit 72; tries=$((tries-1)); sleep 0.1; done
if command -v python3 >/dev/null; then
  python3 -IS -c '${sendProgram}' "$5" "$2" "$3" "$4" "$6" 2>/dev/null
  code=$?
  [ "$code" -ne 0 ] && [ "$code" -ne ${brokeOff} ] && [ "$code" -le 128 ] || exit "$code"
fi
${digests}
md5() { digest=$(md5sum) && echo "\${digest%% *}"; }
range() { dd if="$2" bs=65536 iflag=skip_bytes,count_bytes skip="$3" count="$4" 2>/dev/null; }
range "$@" | "$5" && range "$@" || exit ${brokeOff}
`;

/** Arguments: directory of the work, number of the part, file, first byte (whole MiB), bytes. They come on standard input.
 * Exit codes: 72 there is no work (any more) that places them, 73 they cannot be written, 76 not all came. */
export const writePartProgram = `
cd && cd -- "$1" || exit 72
tries=300
until [ -e "$3" ]; do [ -e ended ] || [ "$tries" -eq 0 ] && exit 72; tries=$((tries-1)); sleep 0.1; done
came=$(LC_ALL=C dd of="$3" bs=65536 iflag=fullblock seek=$(($4/65536)) conv=notrunc 2>&1)
code=$?
[ "$code" -le 128 ] || exit "$code"
[ "$code" -eq 0 ] || { echo "$came" >&2; exit 73; }
case $came in *"
$5 byte"*) ;; *) exit 76;; esac
echo "$2 $5" >>done && : >"got.$2"
`;

/**
 * Waits for the parts, hashes them in their order, checks the whole and puts it in place. Arguments and output are those of
 * `pullProgram`, but for the address and how many come at once.
 */
export const placeProgram = `
part=$1 target=$2 size=$3 range=$4 wanted=$5 etag=$6 piece=$7
fail() { echo "$2" >&2; return "$1"; }
${digests}
steps=$(((size+range-1)/range))
${arriving}
came=
[ -s done ] && came=1
make_room
# They are not sent once more by themselves.
[ -z "$came" ] || [ -e done ] || { fail 78 'what had come of the file is gone'; exit 78; }
begin_steps
# What hashes in Python waits for them itself.
number=0
[ -n "$python" ] || while [ "$number" -lt "$steps" ]; do wait_for "$number" || exit 72; number=$((number+1)); done
add_up
outcome=$?
[ "$outcome" -ne 1 ] || exit 78
[ "$outcome" -eq 0 ] || exit "$outcome"
${place}
`;

/**
 * Hashes a file while its parts go. Arguments: file, bytes, seconds of its last change, and a word where all of them have
 * gone. Prints `sha256 <hex>`.
 */
export const checkProgram = `
source=$1 size=$2 mtime=$3
[ -z "$4" ] || : >sent
fail() { echo "$2" >&2; return "$1"; }
${digests}
facts=$(stat -Lc '%s %Y %y %i' -- "$source") || exit 73
case $facts in "$size $mtime "*) ;; *) fail 75 'the file changed before it was read'; exit 75;; esac
: >ready
sum=$(python3 -IS -c '${hashProgram}' <"$source" 2>/dev/null) || sum=$(sha256 <"$source") || exit 73
until [ -e sent ]; do sleep 0.1; done
[ "$(stat -Lc '%s %Y %y %i' -- "$source")" = "$facts" ] || { fail 75 'the file changed while it was read'; exit 75; }
echo "sha256 $sum"
`;

/** Every part has gone: the check may end. Argument: directory of the work. Exit code 72: it is not there. */
export const allSentProgram = 'cd && cd -- "$1" || exit 72; : >sent';
