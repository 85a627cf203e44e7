"""pyfirecrest, unmodified, with one large file through the staging store: both ways, compared by digest."""

import hashlib
import os
import sys
import time

from cases import case, main
from pyfirecrest_files import open_api

MIB = 1024 * 1024


def make(path, size):
    """Bytes that differ from block to block, and need no time to make."""
    block = os.urandom(MIB)
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for number in range(size // MIB):
            piece = number.to_bytes(8, "big") + block[8:]
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@case("upload and download: a large file is the same after both ways")
async def _(api, lab, place):
    size = lab.large_mib * MIB
    wanted = make(place.at("source"), size)
    began = time.monotonic()
    await api.upload(place.at("source"), place.path, "uploaded", account=lab.account)
    there = time.monotonic()
    assert sha256(place.at("uploaded")) == wanted
    again = time.monotonic()
    await api.download(place.at("uploaded"), place.at("downloaded"), account=lab.account)
    back = time.monotonic()
    assert sha256(place.at("downloaded")) == wanted
    print(f"{lab.client}: {size} bytes, sha256 {wanted}: up {there - began:.1f} s, down {back - again:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main(open_api)
