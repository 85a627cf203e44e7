"""What JupyterHub's spawner for FirecREST does with pyfirecrest. It is in no package registry, so its calls are made here
one by one: the user's token of the hub, a job with the hub's environment, polls by a service account, cancel."""

import asyncio
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
    "MEM_LIMIT": "",
    "JUPYTERHUB_GREETING": "it's \"quoted\", costs $5 and has a \\ in it",
}


class AccessToken:
    """How the spawner hands over the token that the hub renewed: an object with this one method."""

    def __init__(self, token):
        self._token = token

    def get_access_token(self):
        return self._token


def job_script(account, command):
    return f"#!/bin/bash\n#SBATCH --job-name=jupyterhub\n#SBATCH --account={account}\n#SBATCH --time=5\n{command}\n"


async def job_status(api, job_id):
    """State and first host, as one text, from a first look that is never an empty list."""
    jobs = await api.job_info(job_id)
    assert jobs != [], "the spawner would ask again without a pause"
    nodes = re.sub(r"\[(\d+).*", r"\1", jobs[0]["nodes"]).split(",")[0]
    return f"{jobs[0]['status']['state']} {nodes}"


async def started(api, poller, lab, place):
    """The id of a job that runs, and the host that its server would be found at."""
    assert (await api.userinfo())["group"]["name"]
    script = job_script(lab.account, "env -0 > environment; mv environment ready; sleep 300")
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
    def methods(self):
        return ["userinfo", "submit", "job_info", "cancel_job"]


def open_api(lab):
    client = AsyncFirecrest(firecrest_url=lab.url, authorization=AccessToken(lab.token))
    client.timeout = 30
    return SpawnerApi(client, lab.system)


if __name__ == "__main__":
    main(open_api)
