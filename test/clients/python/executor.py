"""firecrest-executor, unmodified: Python functions run as batch jobs, their results fetched from the jobs' output."""

import asyncio
import os
import shutil

import dill
from firecrest_executor import FirecrestExecutor

from cases import case, main, raises


def multiply(left, right):
    return left * right


def fail():
    raise ValueError("of the function itself")


class Executors:
    """Makes executors whose jobs find dill, which the nodes of the lab do not have, in a directory of the user's."""

    def __init__(self, lab):
        self.called = set()
        self._environment = {
            "FIRECREST_URL": lab.url,
            "FIRECREST_SYSTEM": lab.system,
            "FIRECREST_CLIENT_ID": lab.client_id,
            "FIRECREST_CLIENT_SECRET": lab.client_secret,
            "AUTH_TOKEN_URL": lab.token_url,
            "FIRECREST_ACCOUNT": lab.account,
        }
        self._modules = os.path.join(lab.directory, "modules")
        shutil.copytree(os.path.dirname(dill.__file__), os.path.join(self._modules, "dill"))

    def methods(self):
        return ["submit", "map", "shutdown"]

    def make(self, place):
        self.called.update(self.methods())
        return FirecrestExecutor(
            working_dir=place.path,
            sbatch_options=["--time=5"],
            srun_options=[f"--export=ALL,PYTHONPATH={self._modules}"],
            sleep_interval=1,
            task_retries=0,
            env=self._environment,
        )


@case("submit: the result of a function that ran on the cluster")
async def _(executors, lab, place):
    with executors.make(place) as executor:
        assert await asyncio.wrap_future(executor.submit(multiply, 6, 7)) == 42


@case("map: one job for each call, the results in order")
async def _(executors, lab, place):
    with executors.make(place) as executor:
        assert await asyncio.to_thread(lambda: list(executor.map(multiply, [1, 2, 3], [4, 5, 6]))) == [4, 10, 18]


@case("submit: what the function raises comes back as an error of the remote execution")
async def _(executors, lab, place):
    with executors.make(place) as executor:
        await raises(RuntimeError, asyncio.wrap_future(executor.submit(fail)), "of the function itself")


if __name__ == "__main__":
    main(Executors)
