"""AiiDA's plug-in for FirecREST, unmodified: its transport as AiiDA's engine calls it, and its scheduler."""

import asyncio
import os
import stat as modes
import tempfile

from cases import Api, case, main, raises

OPS = "/filesystem/{system_name}/ops"
TRANSFER = "/filesystem/{system_name}/transfer"
UPLOAD = f"POST {OPS}/upload"
ABOVE_DIRECT = bytes(range(256)) * 4096 + b"the part above one mebibyte"


@case("get_attribute_async, path_exists_async, isfile_async, isdir_async and is_symlink_async: tell what is there")
async def _(api, lab, place):
    path = place.write("file", "12345")
    attribute = await api.get_attribute_async(path)
    assert (attribute["st_size"], attribute["st_uid"], modes.S_ISREG(attribute["st_mode"])) == (5, lab.uid, True)
    assert await api.path_exists_async(path) and not await api.path_exists_async(place.at("missing"))
    assert await api.isfile_async(path) and not await api.isfile_async(place.path)
    assert await api.isdir_async(place.path) and not await api.isdir_async(path)
    assert await api.is_symlink_async(place.link("link", path)) and not await api.is_symlink_async(path)


@case("whoami_async: the name on the cluster")
async def _(api, lab, place):
    assert await api.whoami_async() == lab.username


@case("mkdir_async and makedirs_async: what is there is AiiDA's OSError, unless that is to be ignored")
async def _(api, lab, place):
    await api.mkdir_async(place.at("one"))
    await raises(OSError, api.mkdir_async(place.at("one")), "already exists")
    await api.mkdir_async(place.at("one"), ignore_existing=True)
    await api.makedirs_async(place.at("two", "three"))
    await raises(OSError, api.makedirs_async(place.at("two", "three")), "already exists")
    assert os.path.isdir(place.at("two", "three"))


@case("listdir_async and listdir_withattributes_async: names, recursive ones relative; an empty directory has none")
async def _(api, lab, place):
    await api.makedirs_async(place.at("dir", "empty"))
    place.write("dir/file", "x")
    place.write("dir/.hidden", "x")
    assert sorted(await api.listdir_async(place.at("dir"))) == [".hidden", "empty", "file"]
    assert "dir/file" in await api.listdir_async(place.path, recursive=True)
    assert await api.listdir_async(place.at("dir", "empty")) == []
    assert await api.listdir_async(place.at("dir"), pattern="f*") == ["file"]
    entries = {entry["name"]: entry for entry in await api.listdir_withattributes_async(place.at("dir"))}
    assert entries["empty"]["isdir"] and not entries["file"]["isdir"], entries


@case("glob_async: matches names on the cluster")
async def _(api, lab, place):
    place.write("a.txt", "")
    place.write("b.log", "")
    assert await api.glob_async(place.at("*.txt")) == [place.at("a.txt")]


@case("chmod_async, symlink_async and normalize_async: do what their names say")
async def _(api, lab, place):
    path = place.write("file", "x")
    await api.chmod_async(path, 0o600)
    assert os.stat(path).st_mode & 0o777 == 0o600
    await api.symlink_async(path, place.at("link"))
    assert os.readlink(place.at("link")) == path
    assert await api.normalize_async(place.at("x", "..")) == place.path


@case("remove_async, rmdir_async and rmtree_async: refuse what they are not for, forgive what is gone")
async def _(api, lab, place):
    await api.makedirs_async(place.at("full", "sub"))
    await api.remove_async(place.write("file", "x"))
    await api.remove_async(place.at("file"))
    await raises(OSError, api.remove_async(place.at("full")), "not a file")
    await raises(OSError, api.rmdir_async(place.at("full")), "not empty")
    await api.rmdir_async(place.at("full", "sub"))
    await api.rmtree_async(place.at("full"))
    await api.rmtree_async(place.at("full"))
    assert os.listdir(place.path) == []


@case("put_async, putfile_async, get_async and getfile_async: files there and back, their checksums compared", UPLOAD)
async def _(api, lab, place):
    source = place.write("source", "content")
    await api.put_async(source, place.at("put"))
    await api.putfile_async(source, place.at("put file"))
    await api.get_async(place.at("put"), place.at("got"))
    await api.getfile_async(place.at("put file"), place.at("got file"))
    assert place.read("got") == place.read("got file") == b"content"
    await raises(FileNotFoundError, api.get_async(place.at("missing"), place.at("back")))


@case("puttree_async and gettree_async: trees as one archive, there and back", UPLOAD)
async def _(api, lab, place):
    await api.mkdir_async(place.at("tree"))
    names = [f"file {number}" for number in range(5)]
    for name in names:
        place.write(f"tree/{name}", name)
    await api.puttree_async(place.at("tree"), place.at("there"))
    assert sorted(os.listdir(place.at("there"))) == names
    await api.gettree_async(place.at("there"), place.at("back"))
    assert [place.read(f"back/{name}").decode() for name in names] == names


@case("copy_async, copyfile_async and copytree_async: copy on the cluster", f"POST {TRANSFER}/cp")
async def _(api, lab, place):
    await api.mkdir_async(place.at("tree"))
    path = place.write("tree/file", "content")
    await api.copyfile_async(path, place.at("copied"))
    await api.copy_async(path, place.at("again"))
    await api.mkdir_async(place.at("into"))
    await api.copytree_async(place.at("tree"), place.at("into"))
    assert place.read("copied") == place.read("again") == place.read("into/tree/file") == b"content"


@case("rename_async: moves on the cluster", f"POST {TRANSFER}/mv")
async def _(api, lab, place):
    await api.rename_async(place.write("from", "content"), place.at("to"))
    assert place.read("to") == b"content" and not place.has("from")


@case("putfile_async: a file above one mebibyte through the staging store", f"POST {TRANSFER}/upload")
async def _(api, lab, place):
    await api.putfile_async(place.write("source", ABOVE_DIRECT), place.at("put"))
    await api.getfile_async(place.at("put"), place.at("got"))
    assert place.read("got") == ABOVE_DIRECT


@case("the scheduler: submits, sees the job at once, kills it, and then sees it no more")
async def _(api, lab, place):
    from aiida.schedulers.datastructures import JobState

    place.write("job.sh", "#!/bin/bash\nsleep 300\n")
    job_id = await api.in_thread(api.scheduler.submit_job, place.path, "job.sh")
    (job,) = await api.in_thread(api.scheduler.get_jobs, [job_id])
    assert job.job_id == job_id and job.job_state in (JobState.QUEUED, JobState.RUNNING), job
    assert await api.in_thread(api.scheduler.kill_job, job_id) is True
    while await api.in_thread(api.scheduler.get_jobs, [job_id]) != []:
        pass


@case("the scheduler: a script that is missing is its SchedulerError, an unknown job no job")
async def _(api, lab, place):
    from aiida.schedulers import SchedulerError

    await raises(SchedulerError, api.in_thread(api.scheduler.submit_job, place.path, "missing.sh"))
    assert await api.in_thread(api.scheduler.get_jobs, ["99999999"]) == []


class AiidaApi(Api):
    """The transport's methods, and beside them the scheduler, whose methods block."""

    def __init__(self, transport, scheduler):
        super().__init__(transport, None)
        self.scheduler = scheduler

    @staticmethod
    async def in_thread(function, *arguments):
        return await asyncio.to_thread(function, *arguments)

    def methods(self):
        return [name for name in vars(type(self.client)) if name.endswith("_async") and not name.startswith("_")]


def open_api(lab):
    # AiiDA makes its folder where this says when it is imported.
    os.environ["AIIDA_PATH"] = tempfile.mkdtemp(dir=lab.scratch)
    from aiida_firecrest.scheduler import FirecrestScheduler
    from aiida_firecrest.transport import FirecrestTransport

    os.makedirs(os.path.join(lab.directory, "aiida"), mode=0o777)
    os.chown(os.path.join(lab.directory, "aiida"), lab.uid, lab.gid)
    transport = FirecrestTransport(
        url=lab.url,
        token_uri=lab.token_url,
        client_id=lab.client_id,
        client_secret=lab.client_secret,
        compute_resource=lab.system,
        temp_directory=os.path.join(lab.directory, "aiida"),
        billing_account=lab.account,
        max_io_allowed=8,
        checksum_check=True,
    )
    scheduler = FirecrestScheduler()
    scheduler.set_transport(transport)
    return AiidaApi(transport, scheduler)


if __name__ == "__main__":
    main(open_api)
