"""An echo server by the websockets library. Arguments: port. A path /greet is greeted first, then echoed."""

import asyncio
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def echo(socket):
    try:
        if socket.request.path == "/greet":
            await socket.send("hello")
        async for message in socket:
            await socket.send(message)
    except ConnectionClosed:
        pass


async def main():
    options = {"max_size": None, "ping_interval": None, "close_timeout": 2, "subprotocols": ["v1.predict"]}
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), **options):
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
