"""pyfirecrest with `transfer_method="streamer"`, both ways."""

import os

from cases import case, main
from pyfirecrest_files import open_api

CONTENT = os.urandom(6 * 1024 * 1024 + 7)


@case("upload and download: the file is there when the method returns, and is the same")
async def _(api, lab, place):
    source = place.write("source", CONTENT)
    await api.upload(source, place.path, "it's sent", transfer_method="streamer")
    assert place.read("it's sent") == CONTENT
    await api.download(place.at("it's sent"), place.at("target"), transfer_method="streamer")
    assert place.read("target") == CONTENT


if __name__ == "__main__":
    main(open_api)
