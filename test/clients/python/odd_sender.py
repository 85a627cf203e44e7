"""A sender of a stream that goes away in the middle, or that says a wrong digest at the end."""

import asyncio
import json
import os
import sys

import websockets


async def connect(facts):
    headers = {"Authorization": f"Bearer {os.environ['STREAM_SECRET']}"}
    for port in range(facts["ports"][0], facts["ports"][1] + 1):
        try:
            return await websockets.connect(f"ws://{facts['ips'][0]}:{port}", additional_headers=headers)
        except (OSError, websockets.exceptions.InvalidStatus):
            continue
    raise SystemExit("nobody listens")


async def main(how, facts):
    socket = await connect(facts)
    await socket.send(json.dumps({"type": "init", "num_chunks": 2, "file_size": 6}).encode())
    await socket.send(b"abc")
    if how == "killed":
        os._exit(1)
    await socket.send(b"def")
    await socket.send(json.dumps({"type": "eof", "sha256_hash": "0" * 64}).encode())
    await socket.wait_closed()


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
