"""Python's websockets against the echo example: text, binary, big, fragmented, ping, close."""
import asyncio
import sys

import websockets


async def main(url):
    # Once as everybody uses it, compression offered; once without.
    for options in ({}, {"compression": None}):
        async with websockets.connect(url, max_size=None, **options) as client:
            for message in ("", "hello", "Grüße 🌍" * 100, b"", bytes(range(256)), b"x" * (1 << 20), "y" * (1 << 20)):
                await client.send(message)
                assert await client.recv() == message, f"{len(message)} of {type(message)}"
            await client.send(["in ", "three ", "parts"])
            assert await client.recv() == "in three parts"
            await asyncio.wait_for(await client.ping(b"there?"), 10)
            for n in range(1000):
                await client.send(f"message {n}")
            for n in range(1000):
                assert await client.recv() == f"message {n}"
            await client.close(4001, "done")
            assert client.close_code == 4001, client.close_code
    print(f"websockets {websockets.__version__}")


asyncio.run(main(sys.argv[1]))
