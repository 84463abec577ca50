"""Requests at a fixed rate, whether or not the earlier ones were answered: latency counts from the planned start.

A client that waits for answers before it asks again hides the queue that it would have met (coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import uvloop


@dataclass(frozen=True)
class Latencies:
    """Seconds from the planned start of a request to the end of its answer."""

    p50: float
    p99: float
    worst: float
    failed: int


def open_loop(url: str, rate: float, seconds: float, connections: int = 64) -> Latencies:
    """GET `url` at `rate` requests a second."""
    return uvloop.run(_open_loop(url, rate, int(rate * seconds), connections))


async def _open_loop(url: str, rate: float, count: int, connections: int) -> Latencies:
    parts = urlsplit(url)
    request = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await asyncio.open_connection(parts.hostname, parts.port))
    taken: list[float] = []
    failed = 0

    async def ask(planned: float) -> None:
        nonlocal failed
        reader, writer = await free.get()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        failed += not head.startswith(b"HTTP/1.1 200")
        taken.append(time.perf_counter() - planned)
        free.put_nowait((reader, writer))

    start = time.perf_counter() + 0.1
    tasks = []
    for number in range(count):
        planned = start + number / rate
        wait = planned - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(ask(planned)))
    await asyncio.gather(*tasks)
    taken.sort()
    return Latencies(taken[count // 2], taken[int(0.99 * count)], taken[-1], failed)
