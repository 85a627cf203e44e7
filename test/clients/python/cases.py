"""Named cases over one client, each reported as one line of JSON on standard output.

A script registers cases with `case`, then calls `main`. With `--list` it prints what it has and runs nothing; else it
reads the facts of the lab as JSON from standard input and runs every case, some at a time.
"""

import asyncio
import inspect
import json
import os
import sys
import time
import traceback
from dataclasses import dataclass
from types import SimpleNamespace

CASES_AT_ONCE_MAX = 4

_cases = {}


@dataclass
class Case:
    """`route` is one of FirecREST's beside those that every case uses, e.g. `GET /filesystem/{system_name}/ops/head`."""

    function: object
    route: str | None


def case(name, route=None):
    """Registers a case; its name is the guarantee that it protects."""

    def register(function):
        assert name not in _cases, name
        _cases[name] = Case(function, route)
        return function

    return register


class Api:
    """Calls methods of a client, be it the blocking or the asynchronous one, with the system where they take one."""

    def __init__(self, client, system):
        self.client = client
        self._system = system
        self.called = set()

    def methods(self):
        """All public ones that the client has."""
        return [name for name in dir(type(self.client)) if name.islower() and not name.startswith("_")]

    def __getattr__(self, name):
        method = getattr(self.client, name)

        async def call(*args, **kwargs):
            self.called.add(name)
            takes_system = next(iter(inspect.signature(method).parameters), None) == "system_name"
            arguments = [self._system, *args] if takes_system else args
            if inspect.iscoroutinefunction(method):
                return await method(*arguments, **kwargs)
            return await asyncio.to_thread(method, *arguments, **kwargs)

        return call


class Place:
    """A directory of a case's own in the user's home, seen from the machine itself: what is really there."""

    def __init__(self, lab, name):
        self._owner = (lab.uid, lab.gid)
        self.path = os.path.join(lab.directory, name)
        os.mkdir(self.path)
        os.chown(self.path, *self._owner)

    def at(self, *names):
        return os.path.join(self.path, *names)

    def write(self, name, content):
        with open(self.at(name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        os.chown(self.at(name), *self._owner)
        return self.at(name)

    def read(self, name):
        with open(self.at(name), "rb") as file:
            return file.read()

    def link(self, name, target):
        os.symlink(target, self.at(name))
        os.chown(self.at(name), *self._owner, follow_symlinks=False)
        return self.at(name)

    def has(self, name):
        return os.path.lexists(self.at(name))


async def raises(kind, awaitable, *texts):
    """The exception of that class that the call must end in; its text holds all the texts."""
    try:
        result = await awaitable
    except kind as error:
        said = str(error)
        for text in texts:
            assert text in said, f"{text!r} is not in {said}"
        return error
    raise AssertionError(f"no {kind.__name__}, but {result!r}")


def main(open_api):
    """`open_api(lab)` makes what the cases call: an `Api`, or another with `called` and `methods()`."""
    if "--list" in sys.argv:
        print(json.dumps([{"name": name, "route": entry.route} for name, entry in _cases.items()]))
        return
    lab = SimpleNamespace(**json.load(sys.stdin))
    report = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # What a client prints must not stand between the reports.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asyncio.run(_run(lab, open_api, lambda line: print(json.dumps(line), file=report, flush=True)))


async def _run(lab, open_api, tell):
    api = open_api(lab)
    turn = asyncio.Semaphore(CASES_AT_ONCE_MAX)

    async def run_one(name):
        async with turn:
            began = time.monotonic()
            failure = None
            try:
                place = Place(lab, f"case-{list(_cases).index(name)}")
                await asyncio.wait_for(_cases[name].function(api, lab, place), lab.case_timeout_seconds)
            except BaseException as error:
                failure = "".join(traceback.format_exception(error))[-4000:]
            tell({"name": name, "failure": failure, "seconds": round(time.monotonic() - began, 2)})

    await asyncio.gather(*(run_one(name) for name in lab.cases))
    tell({"called": sorted(api.called), "methods": api.methods()})
