"""The client of the websockets library talks to an echo server; prints what happened as JSON. Arguments: URL, messages."""

import asyncio
import json
import random
import sys

from websockets.asyncio.client import connect


async def main(url, count):
    rng = random.Random(7)
    wrong = 0
    async with connect(url, subprotocols=["v1.predict"], max_size=None, ping_interval=None) as socket:
        protocol, extensions = socket.subprotocol, [extension.name for extension in socket.protocol.extensions]
        for at in range(count):
            size = rng.choice([0, 1, 125, 126, 1000, 65_535, 65_536, 200_000])
            message = rng.randbytes(size) if at % 2 else "é" * size
            await socket.send(message)
            wrong += await socket.recv() != message
        pong = await socket.ping()
        await pong
        await socket.close(4001, "done")
    print(json.dumps({"wrong": wrong, "protocol": protocol, "extensions": extensions, "code": socket.close_code}))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
