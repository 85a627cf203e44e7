"""Every subcommand of pyfirecrest's `firecrest` program, run as a user runs it."""

import asyncio
import json
import os
import sys

from firecrest import cli2

from cases import case, main

OPS = "/filesystem/{system_name}/ops"
TRANSFER = "/filesystem/{system_name}/transfer"


class Failed(Exception):
    """The program ended with another code than 0; its text is what it printed."""


class CommandLine:
    """`await cli("stat", path)` gives what the program printed; `cli.json` the same, parsed."""

    def __init__(self, lab):
        self.called = set()
        self._environment = {
            **os.environ,
            "FIRECREST_URL": lab.url,
            "FIRECREST_SYSTEM": lab.system,
            "FIRECREST_CLIENT_ID": lab.client_id,
            "FIRECREST_CLIENT_SECRET": lab.client_secret,
            "AUTH_TOKEN_URL": lab.token_url,
            "COLUMNS": "10000",
        }

    def methods(self):
        return [each.name or each.callback.__name__.replace("_", "-") for each in cli2.app.registered_commands]

    async def __call__(self, *arguments, **environment):
        self.called.add(arguments[0])
        program = os.path.join(os.path.dirname(sys.executable), "firecrest")
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**self._environment, **environment},
        )
        printed = (await process.communicate())[0].decode()
        if process.returncode != 0:
            raise Failed(printed)
        return printed

    async def json(self, *arguments):
        return json.loads(await self(*arguments))


async def fails(awaitable, *texts):
    try:
        printed = await awaitable
    except Failed as error:
        for text in texts:
            assert text in str(error), str(error)
        return
    raise AssertionError(f"it did not fail, but printed {printed!r}")


@case("server-version: prints the version of the API")
async def _(cli, lab, place):
    assert (await cli("server-version")).strip().count(".") == 2


@case("systems: prints the systems as JSON")
async def _(cli, lab, place):
    assert lab.system in [each["name"] for each in await cli.json("systems")]


@case("get-nodes, get-partitions and get-reservations: print lists as JSON")
async def _(cli, lab, place):
    assert await cli.json("get-nodes") and await cli.json("get-partitions")
    assert isinstance(await cli.json("get-reservations"), list)


@case("id: prints user and groups as id(1) does")
async def _(cli, lab, place):
    text = await cli("id")
    assert text.startswith(f"uid={lab.uid}({lab.username}) gid={lab.gid}({lab.username}) groups={lab.gid}("), text
    assert (await cli.json("id", "--json"))["user"]["name"] == lab.username


@case("ls: prints entries as JSON, all of its options taken")
async def _(cli, lab, place):
    place.write("file", "x")
    assert [each["name"] for each in await cli.json("ls", place.path)] == ["file"]
    (name,) = {each["user"] for each in await cli.json("ls", "-R", "-n", "-L", place.path)}
    assert name == str(lab.uid)


@case("mkdir, symlink, chmod, chown and rm: change the tree and print nothing")
async def _(cli, lab, place):
    await cli("mkdir", "-p", place.at("one", "two"))
    await cli("symlink", place.at("one"), place.at("link"))
    await cli("chmod", place.at("one"), "700")
    # It sends null for the half that is not given.
    await cli("chown", place.at("one"), "--owner", lab.username)
    await cli("rm", "--force", place.at("one"))
    assert place.has("link") and not place.has("one")


@case("stat, checksum and file: print what is known of a file")
async def _(cli, lab, place):
    path = place.write("file", "abc")
    assert (await cli.json("stat", "-L", path))["size"] == 3
    assert (await cli.json("checksum", path))["algorithm"] == "SHA256"
    assert "ASCII text" in await cli("file", path)


@case("head and tail: print the lines or bytes that were asked for", route=f"GET {OPS}/head")
async def _(cli, lab, place):
    path = place.write("lines", "".join(f"line {number}\n" for number in range(1, 21)))
    assert "line 10" in await cli("head", path) and "line 11" in await cli("tail", path)


@case("compress and extract: a tree there and back")
async def _(cli, lab, place):
    await cli("mkdir", place.at("tree"))
    place.write("tree/file", "content")
    await cli("compress", place.at("tree"), place.at("tree.tar.gz"))
    await cli("mkdir", place.at("out"))
    await cli("extract", place.at("tree.tar.gz"), place.at("out"))
    assert place.read("out/tree/file") == b"content"


@case("mv and cp: move and copy by a job", route=f"POST {TRANSFER}/mv")
async def _(cli, lab, place):
    await cli("cp", place.write("from", "content"), place.at("copy"), "--account", lab.account)
    await cli("mv", place.at("from"), place.at("to"), "--account", lab.account)
    assert place.read("copy") == place.read("to") == b"content" and not place.has("from")


@case("upload and download: a small file there and back", route=f"POST {OPS}/upload")
async def _(cli, lab, place):
    await cli("upload", place.write("source", "content"), place.path, "uploaded")
    await cli("download", place.at("uploaded"), place.at("back"))
    assert place.read("back") == b"content"


@case("submit, job-info, wait-for-job and job-metadata: a job from its script to its output")
async def _(cli, lab, place):
    script = place.write("job.sh", "#!/bin/bash\necho $GIVEN\n")
    options = ["--working-dir", place.path, "-e", "GIVEN=a=b", "--account", lab.account]
    job = await cli.json("submit", *options, script)
    (found,) = await cli.json("job-info", job["jobId"])
    assert found["jobId"] == job["jobId"]
    (ended,) = await cli.json("wait-for-job", job["jobId"])
    assert ended["status"]["state"] == "COMPLETED", ended
    (metadata,) = await cli.json("job-metadata", job["jobId"])
    with open(metadata["standardOutput"]) as output:
        assert output.read() == "a=b\n"
    assert job["jobId"] in [each["jobId"] for each in await cli.json("job-info")]


@case("submit remote://, attach-to-job and cancel: a job that runs until it is told to end")
async def _(cli, lab, place):
    script = place.write("job.sh", "#!/bin/bash\nsleep 300\n")
    job = await cli.json("submit", "--working-dir", place.path, f"remote://{script}")
    while (await cli.json("job-info", job["jobId"]))[0]["status"]["state"] == "PENDING":
        pass
    await cli("attach-to-job", job["jobId"], f"touch {place.at('attached')}")
    await cli("cancel", job["jobId"])
    (ended,) = await cli.json("wait-for-job", job["jobId"])
    assert ended["status"]["state"] == "CANCELLED" and place.has("attached"), ended


@case("errors: the message of the broker is printed, and the exit code is 1")
async def _(cli, lab, place):
    await fails(cli("stat", place.at("missing")), "Operation failed", "No such file or directory")
    await fails(cli("systems", FIRECREST_CLIENT_SECRET="wrong"), "could not fetch token")


if __name__ == "__main__":
    main(CommandLine)
