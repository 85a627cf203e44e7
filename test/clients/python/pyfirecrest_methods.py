"""Every method of pyfirecrest's v2 clients, `Firecrest` and `AsyncFirecrest`, with what users of it rely on."""

import re
import stat as modes
import tarfile

import firecrest
from firecrest.FirecrestException import JobTimeoutException, TransferJobFailedException
from firecrest.v2 import AsyncFirecrest, Firecrest
from packaging.version import Version

from cases import Api, case, main, raises

SLEEPER = "#!/bin/bash\nsleep 300\n"
OPS = "/filesystem/{system_name}/ops"
TRANSFER = "/filesystem/{system_name}/transfer"
REFUSED = firecrest.UnexpectedStatusException
ABOVE_DIRECT = bytes(range(256)) * 4096 + b"the part above one mebibyte"


def script(command):
    return f"#!/bin/bash\n#SBATCH --time=5\n{command}\n"


@case("server_version: is a version that Python's packaging reads, new enough for AiiDA")
async def _(api, lab, place):
    assert Version(await api.server_version()) >= Version("2.2.8")


@case("systems: names the system with what the methods need of it")
async def _(api, lab, place):
    (system,) = [entry for entry in await api.systems() if entry["name"] == lab.system]
    assert system["ssh"]["host"] and system["scheduler"]["type"] == "slurm"
    assert any(lab.directory.startswith(entry["path"]) for entry in system["fileSystems"])


@case("nodes: lists the nodes of the cluster, the state as a list")
async def _(api, lab, place):
    nodes = await api.nodes()
    assert nodes and all(node["name"] and isinstance(node["state"], list) for node in nodes), nodes


@case("partitions: lists the partitions of the cluster")
async def _(api, lab, place):
    partitions = await api.partitions()
    assert partitions and all(partition["name"] for partition in partitions), partitions


@case("reservations: answers a list where there is none")
async def _(api, lab, place):
    assert isinstance(await api.reservations(), list)


@case("userinfo: gives user, primary group and groups with digits as ids")
async def _(api, lab, place):
    info = await api.userinfo()
    assert info["user"] == {"id": str(lab.uid), "name": lab.username}, info
    assert info["group"]["id"] == str(lab.gid)
    assert [group["id"] for group in info["groups"] if group["default"]] == [str(lab.gid)]
    assert lab.account in [account["name"] for account in info["accounts"]]


@case("list_files: base names, sizes as texts, hidden ones when asked")
async def _(api, lab, place):
    place.write("a.txt", "12345")
    place.write(".hidden", "")
    (entry,) = await api.list_files(place.path)
    assert (entry["name"], entry["size"], entry["type"]) == ("a.txt", "5", "-"), entry
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", entry["lastModified"]), entry
    assert re.fullmatch(r"[r-][w-][x-]{1}.{6}", entry["permissions"]), entry
    shown = await api.list_files(place.path, show_hidden=True)
    assert {".hidden", "a.txt"} <= {each["name"] for each in shown}, shown


@case("list_files: recursive names are relative to the path, numeric ids are digits, links are followed when asked")
async def _(api, lab, place):
    await api.mkdir(place.at("one", "two"), create_parents=True)
    place.write("one/two/deep", "x")
    place.link("link", place.at("one/two/deep"))
    names = {entry["name"] for entry in await api.list_files(place.path, recursive=True)}
    assert {"one", "one/two", "one/two/deep", "link"} <= names, names
    numeric = await api.list_files(place.path, numeric_uid=True)
    assert {entry["user"] for entry in numeric} == {str(lab.uid)}, numeric
    links = {entry["name"]: entry for entry in await api.list_files(place.path)}
    assert links["link"]["linkTarget"] == place.at("one/two/deep"), links
    followed = {entry["name"]: entry for entry in await api.list_files(place.path, dereference=True)}
    assert (followed["link"]["type"], followed["link"]["size"]) == ("-", "1"), followed


@case("head: the first lines or bytes, or all but the last", route=f"GET {OPS}/head")
async def _(api, lab, place):
    path = place.write("lines", "".join(f"line {number}\n" for number in range(1, 21)))
    assert (await api.head(path))["content"].splitlines()[-1] == "line 10"
    assert (await api.head(path, num_lines=2))["content"] == "line 1\nline 2\n"
    assert (await api.head(path, num_bytes=6))["content"] == "line 1"
    assert (await api.head(path, num_lines=19, exclude_trailing=True))["content"] == "line 1\n"


@case("tail: the last lines or bytes, or all but the first", route=f"GET {OPS}/tail")
async def _(api, lab, place):
    path = place.write("lines", "".join(f"line {number}\n" for number in range(1, 21)))
    assert (await api.tail(path))["content"].splitlines()[0] == "line 11"
    assert (await api.tail(path, num_lines=1))["content"] == "line 20\n"
    assert (await api.tail(path, num_bytes=3))["content"] == "20\n"
    assert (await api.tail(path, num_lines=20, exclude_beginning=True))["content"] == "line 20\n"


@case("view: the whole text, beyond ASCII too", route=f"GET {OPS}/view")
async def _(api, lab, place):
    assert await api.view(place.write("text", "zwölf 漢字\n")) == "zwölf 漢字\n"


@case("checksum: the SHA-256 in hexadecimal digits")
async def _(api, lab, place):
    sum_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert await api.checksum(place.write("abc", "abc")) == {"algorithm": "SHA256", "checksum": sum_of_abc}


@case("file_type: what file(1) says")
async def _(api, lab, place):
    assert "ASCII text" in await api.file_type(place.write("text", "hello\n"))
    assert "directory" in await api.file_type(place.path)


@case("chmod: changes the mode and shows the entry")
async def _(api, lab, place):
    path = place.write("file", "")
    output = await api.chmod(path, "600")
    assert (output["name"], output["permissions"]) == (path, "rw-------"), output
    assert (await api.stat(path))["mode"] & 0o777 == 0o600


@case("chown: changes nothing for the owner's own names, and an unknown one is refused")
async def _(api, lab, place):
    path = place.write("file", "")
    assert (await api.chown(path, lab.username, ""))["user"] == lab.username
    await raises(REFUSED, api.chown(path, "gc-nobody-of-that-name", ""), "invalid user")


@case("stat: the ten fields as integers, of the link or of what it points to")
async def _(api, lab, place):
    path = place.write("file", "12345")
    link = place.link("link", path)
    fields = ["mode", "ino", "dev", "nlink", "uid", "gid", "size", "atime", "ctime", "mtime"]
    status = await api.stat(link)
    assert all(type(status[field]) is int for field in fields), status
    assert modes.S_ISLNK(status["mode"])
    followed = await api.stat(link, dereference=True)
    assert (modes.S_ISREG(followed["mode"]), followed["size"], followed["uid"]) == (True, 5, lab.uid), followed


@case("symlink: makes the link")
async def _(api, lab, place):
    made = await api.symlink(place.write("file", "x"), place.at("link"))
    assert made["output"]["name"] == place.at("link") and place.read("link") == b"x", made


@case("mkdir: one directory, with its parents when asked, and one that is there is File exists")
async def _(api, lab, place):
    assert (await api.mkdir(place.at("one")))["name"] == place.at("one")
    await api.mkdir(place.at("two", "three"), create_parents=True)
    await api.mkdir(place.at("two", "three"), create_parents=True)
    error = await raises(REFUSED, api.mkdir(place.at("one")), "File exists")
    assert error.responses[-1].status_code == 400


@case("mv: moves by a job and waits for its end", route=f"POST {TRANSFER}/mv")
async def _(api, lab, place):
    moved = await api.mv(place.write("from", "content"), place.at("to"), account=lab.account)
    assert moved["transferJob"]["jobId"].isdigit() and place.read("to") == b"content", moved
    assert not place.has("from")


@case("mv: a failure is a TransferJobFailedException", route=f"POST {TRANSFER}/mv")
async def _(api, lab, place):
    await raises(TransferJobFailedException, api.mv(place.at("missing"), place.at("to"), account=lab.account))


@case("cp: copies a tree by a job and keeps its links", route=f"POST {TRANSFER}/cp")
async def _(api, lab, place):
    await api.mkdir(place.at("tree"))
    place.write("tree/file", "content")
    place.link("tree/link", "file")
    await api.cp(place.at("tree"), place.at("copy"), account=lab.account)
    assert place.read("copy/file") == b"content"
    assert modes.S_ISLNK((await api.stat(place.at("copy", "link")))["mode"])


@case("compress and extract: a tree there and back")
async def _(api, lab, place):
    await api.mkdir(place.at("tree"))
    place.write("tree/a.txt", "a")
    place.write("tree/b.log", "b")
    await api.compress(place.at("tree"), place.at("tree.tar.gz"))
    await api.mkdir(place.at("out"))
    await api.extract(place.at("tree.tar.gz"), place.at("out"))
    assert (place.read("out/tree/a.txt"), place.read("out/tree/b.log")) == (b"a", b"b")
    await api.compress(place.at("tree"), place.at("some.tar"), compression="none", match_pattern=".*\\.txt")
    with tarfile.open(place.at("some.tar")) as archive:
        assert archive.getnames() == ["./a.txt"], archive.getnames()


@case("rm: removes a tree, and what is missing is No such file or directory")
async def _(api, lab, place):
    await api.mkdir(place.at("tree", "deep"), create_parents=True)
    assert await api.rm(place.at("tree")) is None and not place.has("tree")
    error = await raises(REFUSED, api.rm(place.at("tree")), "No such file or directory")
    assert error.responses[-1].status_code == 404


@case("upload and download: a small file goes straight through", route=f"POST {OPS}/upload")
async def _(api, lab, place):
    content = bytes(range(256)) * 100
    source = place.write("source", content)
    assert await api.upload(source, place.path, "up loaded") is None
    assert place.read("up loaded") == content
    assert await api.download(place.at("up loaded"), place.at("back")) is None
    assert place.read("back") == content


@case("upload and download: an empty file too", route=f"POST {OPS}/upload")
async def _(api, lab, place):
    await api.upload(place.write("source", ""), place.path, "empty")
    await api.download(place.at("empty"), place.at("back"))
    assert place.read("empty") == place.read("back") == b""


@case("download: a missing file is Python's own FileNotFoundError")
async def _(api, lab, place):
    await raises(FileNotFoundError, api.download(place.at("missing"), place.at("back")))


@case("upload: a file above one mebibyte goes through the staging store", route=f"POST {TRANSFER}/upload")
async def _(api, lab, place):
    upload = await api.upload(place.write("source", ABOVE_DIRECT), place.path, "uploaded", account=lab.account)
    assert upload.transfer_data["transferJob"]["jobId"].isdigit()
    assert place.read("uploaded") == ABOVE_DIRECT


@case("download: a file above one mebibyte comes through the staging store", route=f"POST {TRANSFER}/download")
async def _(api, lab, place):
    await api.download(place.write("source", ABOVE_DIRECT), place.at("back"), account=lab.account)
    assert place.read("back") == ABOVE_DIRECT


@case("submit: account, partition and variables reach the job literally, and it is found at once")
async def _(api, lab, place):
    value = 'a,b=c "d" {"e": [1]} $HOME'
    (partition,) = [each["name"] for each in await api.partitions()][:1]
    text = script('printf %s "$GIVEN" > given; echo "$SLURM_JOB_ACCOUNT $SLURM_JOB_PARTITION" > where')
    options = {"env_vars": {"GIVEN": value}, "account": lab.account, "partition": partition}
    job = await api.submit(place.path, script_str=text, **options)
    assert isinstance(job["jobId"], str) and job["jobId"].isdigit(), job
    (found,) = await api.job_info(job["jobId"])
    assert (found["jobId"], found["user"], found["account"]) == (job["jobId"], lab.username, lab.account), found
    await api.wait_for_job(job["jobId"])
    assert place.read("given") == value.encode()
    assert place.read("where").decode().split() == [lab.account, partition]


@case("submit: a script that lies on the cluster, and one that is missing there is refused")
async def _(api, lab, place):
    path = place.write("job.sh", script("touch ran"))
    job = await api.submit(place.path, script_remote_path=path)
    await api.wait_for_job(job["jobId"])
    assert place.has("ran")
    await raises(REFUSED, api.submit(place.path, script_remote_path=place.at("missing.sh")), "Unable to open file")


@case("submit: what the scheduler refuses is an error with the scheduler's words")
async def _(api, lab, place):
    await raises(REFUSED, api.submit(place.path, script_str=script("true"), partition="nowhere"), "nowhere")


@case("job_info: state as one bare word, nodes a text, allocationNodes a number, times in seconds")
async def _(api, lab, place):
    job = await api.submit(place.path, script_str=script("true"))
    (ended,) = await api.wait_for_job(job["jobId"])
    assert ended["status"]["state"] == "COMPLETED" and ended["status"]["exitCode"] == 0, ended
    assert isinstance(ended["nodes"], str) and isinstance(ended["allocationNodes"], int), ended
    assert ended["time"]["start"] <= ended["time"]["end"] and ended["time"]["limit"] == 300, ended


@case("job_info: lists the user's jobs, of one name when asked, and nothing else")
async def _(api, lab, place):
    named = script("#SBATCH --job-name=gc-client-case\ntrue")
    job = await api.submit(place.path, script_str=named)
    listed = await api.job_info()
    assert job["jobId"] in [each["jobId"] for each in listed]
    assert {each["user"] for each in listed} == {lab.username}, listed
    assert await api.job_info(account="no-such-account") == []
    # The client sends these two only to a server that it takes for a later version.
    newer = client_of(lab)
    newer.set_api_version("2.6.0")
    found = await Api(newer, lab.system).job_info(name="gc-client-case", time_window="1h")
    assert {each["name"] for each in found} == {"gc-client-case"}, found


@case("job_info: an unknown job is 404 Job not found")
async def _(api, lab, place):
    error = await raises(REFUSED, api.job_info("99999999"), "Job not found")
    assert error.responses[-1].status_code == 404


@case("job_metadata: where the output lies and the script itself")
async def _(api, lab, place):
    job = await api.submit(place.path, script_str=script("echo said"))
    await api.wait_for_job(job["jobId"])
    (metadata,) = await api.job_metadata(job["jobId"])
    assert metadata["jobId"] == job["jobId"] and "echo said" in metadata["script"], metadata
    with open(metadata["standardOutput"]) as output:
        assert output.read() == "said\n"


@case("cancel_job: ends the job within seconds, and its state is CANCELLED alone")
async def _(api, lab, place):
    job = await api.submit(place.path, script_str=SLEEPER)
    await api.cancel_job(job["jobId"])
    (ended,) = await api.wait_for_job(job["jobId"], timeout=120)
    assert ended["status"]["state"] == "CANCELLED", ended


@case("wait_for_job: a job that takes longer than the timeout is canceled, and JobTimeoutException raised")
async def _(api, lab, place):
    job = await api.submit(place.path, script_str=SLEEPER)
    await raises(JobTimeoutException, api.wait_for_job(job["jobId"], timeout=1), job["jobId"])
    (ended,) = await api.wait_for_job(job["jobId"], timeout=120)
    assert ended["status"]["state"] == "CANCELLED", ended


@case("attach_to_job: runs the command in the job's allocation")
async def _(api, lab, place):
    # The job waits for what the command writes, so it ends only by it.
    job = await api.submit(place.path, script_str=script("until [ -s attached ]; do sleep 0.1; done"))
    while (await api.job_info(job["jobId"]))[0]["status"]["state"] == "PENDING":
        pass
    await api.attach_to_job(job["jobId"], f"sh -c 'echo $SLURM_JOB_ID > {place.at('attached')}'")
    (ended,) = await api.wait_for_job(job["jobId"])
    assert ended["status"]["state"] == "COMPLETED", ended
    assert place.read("attached").decode().strip() == job["jobId"]


@case("errors: a missing file is 404 with the words that clients look for")
async def _(api, lab, place):
    error = await raises(REFUSED, api.stat(place.at("missing")), "cannot statx", "No such file or directory")
    assert (error.responses[-1].status_code, error.responses[-1].json()["errorType"]) == (404, "error")
    await raises(REFUSED, api.list_files(place.at("missing")), "No such file or directory")


@case("errors: a file of somebody else is 403 Permission denied")
async def _(api, lab, place):
    error = await raises(REFUSED, api.checksum(lab.foreign_file), "Permission denied")
    assert error.responses[-1].status_code == 403


@case("errors: an unknown system is 404, a token of nobody 401")
async def _(api, lab, place):
    stranger = type(api.client)(lab.url, authorization=firecrest.TokenCommandAuth("echo of-nobody"))
    error = await raises(REFUSED, Api(stranger, lab.system).systems(), "Access token is invalid.")
    assert error.responses[-1].status_code == 401
    error = await raises(REFUSED, Api(api.client, "nowhere").nodes(), "System not found")
    assert error.responses[-1].status_code == 404


@case("correlation_id: the id that a user gives comes back in the answer, whatever its form")
async def _(api, lab, place):
    with firecrest.correlation_id("my-workflow-1234"):
        error = await raises(REFUSED, api.stat(place.at("missing")))
    assert error.correlation_id == error.responses[-1].headers["x-correlation-id"] == "my-workflow-1234"
    assert error.request_id == error.responses[-1].headers["x-request-id"]


def client_of(lab):
    kind = Firecrest if lab.client == "Firecrest" else AsyncFirecrest
    basic = "client_secret_basic" if lab.client == "Firecrest" else "client_secret_post"
    authorization = firecrest.ClientCredentialsAuth(
        lab.client_id, lab.client_secret, lab.token_url, client_auth_method=basic
    )
    return kind(lab.url, authorization=authorization)


def open_api(lab):
    return Api(client_of(lab), lab.system)


if __name__ == "__main__":
    main(open_api)
