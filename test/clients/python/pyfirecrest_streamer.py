"""pyfirecrest with `transfer_method="streamer"`, both ways."""

import os

from firecrest import ClientCredentialsAuth
from firecrest.v2 import AsyncFirecrest, Firecrest

from cases import Api, case, main

CONTENT = os.urandom(6 * 1024 * 1024 + 7)


@case("upload and download: the file is there when the method returns, and is the same")
async def _(api, lab, place):
    source = place.write("source", CONTENT)
    await api.upload(source, place.path, "it's sent", transfer_method="streamer")
    assert place.read("it's sent") == CONTENT
    await api.download(place.at("it's sent"), place.at("target"), transfer_method="streamer")
    assert place.read("target") == CONTENT


class StreamApi(Api):
    def methods(self):
        return ["upload", "download"]


def open_api(lab):
    auth = ClientCredentialsAuth(lab.client_id, lab.client_secret, lab.token_url)
    kind = {"Firecrest": Firecrest, "AsyncFirecrest": AsyncFirecrest}[lab.client]
    return StreamApi(kind(lab.url, authorization=auth), lab.system)


if __name__ == "__main__":
    main(open_api)
