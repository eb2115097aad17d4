"""What people use: a load generator on aiohttp with a parse of each chunk. Arguments and output as those of
general-client.mjs: `aiohttp-client.py PORT STREAMS TOKENS REQUESTS` prints "<chunks> <CPU ms>" of the second half."""
import asyncio
import json
import sys
import time

import aiohttp

port, streams, tokens, total = map(int, sys.argv[1:5])
sent = done = chunks = 0
before = (0, 0.0)
gaps = []


async def exchange(session, index):
    global chunks
    body = {"prompt": [index, 2, 3], "max_tokens": tokens, "stream": True}
    last = time.perf_counter()
    async with session.post(f"http://127.0.0.1:{port}/v1/completions", json=body) as answer:
        async for line in answer.content:
            line = line.strip()
            if not line.startswith(b"data: ") or line == b"data: [DONE]":
                continue
            if not json.loads(line[6:])["choices"]:
                continue
            now = time.perf_counter()
            chunks += 1
            gaps.append(now - last)
            last = now


async def stream(session):
    global sent, done, before
    while sent < total:
        sent += 1
        await exchange(session, sent - 1)
        done += 1
        if done == total // 2:
            before = (chunks, time.process_time())


async def main():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), read_bufsize=2**18) as session:
        await asyncio.gather(*(stream(session) for _ in range(streams)))
    print(chunks - before[0], (time.process_time() - before[1]) * 1000)


asyncio.run(main())
