/**
 * The digests of a file while it comes or goes, by one process that needs no pipe: the SHA-256 of the whole in its order, and
 * the MD5s of its pieces beside that, on as many processors as there are. Where a host has no Python, or one that refuses
 * MD5, openssl and the coreutils do the same.
 */

/**
 * Arguments: `got` (a span counts once its bytes have come) or `took` (as soon as a lane has begun with it), bytes of a span
 * and of the file, bytes of a piece or an empty word, and the file. Prints the SHA-256. The MD5s go to `sum.<piece>` each, for `took`, but
 * for those that an earlier run has sent; for `got` to `md5s` at the end, a line each. Fails where a lane has failed, and
 * where the file is shorter or cannot be read.
 */
const program = `
import hashlib, os, sys, threading, time
way, path = sys.argv[1], sys.argv[5]
span, size, piece = (int(word or 0) for word in sys.argv[2:5])
lost, sums = [], {}
def wait_for(number):
  marks = ["got.%d" % number] + ["took.%d" % number] * (way == "took")
  while not any(map(os.path.exists, marks)):
    if lost or os.path.exists("halt"):
      raise EOFError
    time.sleep(0.03)
def digest_of(digest, at, end):
  room, came, file = memoryview(bytearray(1 << 18)), at, os.open(path, os.O_RDONLY)
  os.lseek(file, at, os.SEEK_SET)
  while at < end:
    if at == came:
      wait_for(at // span)
      came = min(end, (at // span + 1) * span)
    read = os.readv(file, [room[: min(len(room), came - at)]])
    if read == 0:
      raise EOFError
    digest.update(room[:read])
    at += read
  os.close(file)
  return digest.hexdigest()
def sum_of(number):
  sums[number] = digest_of(hashlib.md5(), number * piece, min(size, (number + 1) * piece))
  if way == "took":
    with open("sum.%d.new" % number, "w") as file:
      file.write(sums[number] + chr(10))
    os.rename("sum.%d.new" % number, "sum.%d" % number)
def sum_up():
  try:
    for number in numbers:
      if not (way == "took" and os.path.exists("got.%d" % number)):
        sum_of(number)
  except (EOFError, OSError) as error:
    lost.append(error)
count = max(1, -(-size // max(1, piece))) if sys.argv[4] else 0
numbers = iter(range(count))
threads = [threading.Thread(target=sum_up) for _ in range(min(count, 8, len(os.sched_getaffinity(0))))]
for thread in threads:
  thread.start()
try:
  whole = digest_of(hashlib.sha256(), 0, size)
except (EOFError, OSError) as error:
  lost.append(error)
for thread in threads:
  thread.join()
if lost:
  sys.exit(1)
if way == "got":
  with open("md5s", "w") as file:
    file.writelines(sums[number] + chr(10) for number in range(count))
print(whole)
`;

/** `python`: whether there is one that can. `hash_of`: with the program's arguments. */
export const hashing = `
hash='${program}'
if python3 -IS -c 'import hashlib; hashlib.sha256(); hashlib.md5()' 2>/dev/null; then python=1; else python=; fi
hash_of() { python3 -IS -c "$hash" "$@"; }
`;
