"""What JupyterHub's spawner for FirecREST (github.com/eth-cscs/firecrestspawner) does with pyfirecrest. It is in no package
registry, so nothing installs it, and its calls are made here one by one, as its source has them: a new client for every
call with the token that the hub renewed, a job with the directives of its template and the hub's environment, polls by a
service account, cancel."""

import asyncio
import base64
import json
import re

import firecrest
from firecrest.v2 import AsyncFirecrest

from cases import Api, case, main

PENDING = re.compile(r"^(PENDING|CONFIGURING)")
RUNNING = re.compile(r"^(RUNNING|COMPLETING)")
POLL_SECONDS = 0.5
POLLS_AFTER_CANCEL_MAX = 10

# Of the kinds that a hub makes: addresses, JSON, commas and equals signs, quotes, nothing.
HUB_ENVIRONMENT = {
    "JUPYTERHUB_API_TOKEN": "b3f1c2d4e5f60718293a4b5c6d7e8f90",
    "JUPYTERHUB_API_URL": "https://hub.example:8081/hub/api?a=1&b=2",
    "JUPYTERHUB_OAUTH_SCOPES": json.dumps(["access:servers!server=alice/", "access:servers!user=alice"]),
    "JUPYTERHUB_OAUTH_CLIENT_ID": "jupyterhub-user-alice",
    "JUPYTERHUB_SERVICE_PREFIX": "/user/alice@example.org/",
    # The spawner packs this one, and the job's script unpacks it.
    "JUPYTERHUB_OAUTH_ACCESS_SCOPES": base64.b64encode(b'["access:servers!server=alice/", "?"]').decode(),
    "MEM_LIMIT": "",
    "JUPYTERHUB_GREETING": "it's \"quoted\", costs $5 and has a \\ in it",
}


class AccessToken:
    """How the spawner hands over the token that the hub renewed: an object with this one method."""

    def __init__(self, token):
        self._token = token

    def get_access_token(self):
        return self._token


def job_script(account, directory, command):
    """Directives as in the spawner's template, with the one that is commented out and the empty lines of what is not set."""
    return f"""#!/bin/bash
##SBATCH --output={directory}/jupyterhub_slurmspawner_%j.log
#SBATCH --job-name=spawner-jupyterhub
#SBATCH --chdir={directory}
#SBATCH --get-user-env=L


#SBATCH --account={account}
#SBATCH --time=00:05:00

#SBATCH --nodes=1

hostname -i

set -euo pipefail

trap 'echo SIGTERM received' TERM
{command}
"""


async def job_status(api, job_id):
    """State and first host, as one text, from a first look that is never an empty list."""
    jobs = await api.job_info(job_id)
    assert jobs != [], "the spawner would ask again without a pause"
    nodes = re.sub(r"\[(\d+).*", r"\1", jobs[0]["nodes"]).split(",")[0]
    return f"{jobs[0]['status']['state']} {nodes}"


async def started(api, poller, lab, place):
    """The id of a job that runs, and the host that its server would be found at."""
    assert (await api.userinfo())["group"]["name"]
    script = job_script(lab.account, place.path, "env -0 > environment; mv environment ready; sleep 300")
    job = await api.submit(place.path, script_str=script, env_vars=HUB_ENVIRONMENT)
    while True:
        status = await job_status(poller, job["jobId"])
        if RUNNING.match(status):
            return job["jobId"], status.split()[1]
        assert PENDING.match(status), f"the spawner would say that the job has disappeared: {status}"
        await asyncio.sleep(POLL_SECONDS)


async def stopped(api, poller, job_id):
    await api.cancel_job(job_id)
    for _ in range(POLLS_AFTER_CANCEL_MAX):
        status = await job_status(poller, job_id)
        if not RUNNING.match(status) and not PENDING.match(status):
            return status
        await asyncio.sleep(1)
    raise AssertionError(f"the job goes on: {status}")


@case("start and stop: a server's job runs on a host that is told, and is gone seconds after its cancel")
async def _(api, lab, place):
    job_id, host = await started(api, api, lab, place)
    assert re.fullmatch(r"[\w.-]+", host), host
    assert (await stopped(api, api, job_id)).startswith("CANCELLED")


@case("start: what the hub puts into the environment reaches the server's job literally")
async def _(api, lab, place):
    job_id, _ = await started(api, api, lab, place)
    while not place.has("ready"):
        await asyncio.sleep(POLL_SECONDS)
    environment = dict(line.split("=", 1) for line in place.read("ready").decode().split("\0") if "=" in line)
    assert {name: environment.get(name) for name in HUB_ENVIRONMENT} == HUB_ENVIRONMENT
    await stopped(api, api, job_id)


@case("poll: a service account sees the user's job by its id, when the user's token has expired")
async def _(api, lab, place):
    account = firecrest.ClientCredentialsAuth(lab.service_id, lab.service_secret, lab.token_url)
    poller = Api(AsyncFirecrest(lab.url, authorization=account), lab.system)
    job_id, _ = await started(api, poller, lab, place)
    await stopped(api, poller, job_id)


class SpawnerApi(Api):
    """Makes a client for every call; none of its connections is used twice."""

    def __init__(self, make_client, system):
        super().__init__(make_client(), system)
        self._make_client = make_client

    def methods(self):
        return ["userinfo", "submit", "job_info", "cancel_job"]

    def __getattr__(self, name):
        self.client = self._make_client()
        return super().__getattr__(name)


def open_api(lab):
    def make_client():
        client = AsyncFirecrest(firecrest_url=lab.url, authorization=AccessToken(lab.token))
        client.timeout = 30
        return client

    return SpawnerApi(make_client, lab.system)


if __name__ == "__main__":
    main(open_api)
