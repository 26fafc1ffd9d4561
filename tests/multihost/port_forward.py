"""A port of one host that leads to another host's, as a router's or Docker's does. A script.

    python port_forward.py 10.77.0.2:21001 10.77.0.3:11001

Who is connected to sees the router's address, and not that of whoever connects.
"""

import asyncio
import sys


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def main(near: str, far: str) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = far.split(":")
        try:
            there = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, there[1]), carry(there[0], writer))

    host, port = near.split(":")
    server = await asyncio.start_server(forward, host, int(port))
    print("forwards", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
