"""pyfirecrest's two clients, of which upload and download are tried."""

from firecrest import ClientCredentialsAuth
from firecrest.v2 import AsyncFirecrest, Firecrest

from cases import Api


class FilesApi(Api):
    def methods(self):
        return ["upload", "download"]


def open_api(lab):
    auth = ClientCredentialsAuth(lab.client_id, lab.client_secret, lab.token_url)
    kind = {"Firecrest": Firecrest, "AsyncFirecrest": AsyncFirecrest}[lab.client]
    return FilesApi(kind(lab.url, authorization=auth), lab.system)
