"""pyfirecrest with `transfer_method="wormhole"`, both ways; the command `wormhole` is its user's own.

pyfirecrest 3.10 receives with `wormhole receive --code`, which no release of magic-wormhole has (the code is an argument):
so a download is begun by it, and received with the code that its object tells.
"""

import asyncio
import os
import sys

from cases import case, main
from pyfirecrest_files import open_api

CONTENT = os.urandom(3 * 1024 * 1024 + 7)


@case("upload and download: the file is there when the method returns, and the code that is told receives the same")
async def _(api, lab, place):
    os.environ.update(lab.environment)
    source = place.write("source", CONTENT)
    await api.upload(source, place.path, "it's sent", transfer_method="wormhole")
    assert place.read("it's sent") == CONTENT
    begun = await api.download(place.at("it's sent"), place.at("target"), transfer_method="wormhole", blocking=False)
    words = ["receive", "--accept-file", "--hide-progress", "-o", str(place.at("target")), begun.wormhole_code]
    program = os.path.join(os.path.dirname(sys.executable), "wormhole")
    child = await asyncio.create_subprocess_exec(program, *words)
    assert await child.wait() == 0
    assert place.read("target") == CONTENT


if __name__ == "__main__":
    main(open_api)
