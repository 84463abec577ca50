"""Benchmark `serving_get`: reads of our service against a bare FastAPI route that sends the same bytes."""

from __future__ import annotations

import os
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Comparison, Measure
from bench.open_loop import open_loop
from bench.serving_world import Server, bare, free_port, make_home, ours, requests_per_second, serving

NAME = "serving_get"
SYMBOLS = {"small": 200, "full": 1500}
SECONDS = {"small": 3.0, "full": 15.0}
REQUESTS = {"small": 20_000, "full": 200_000}
RATE = 500
QUERY = "/api/ml/predictions?limit=50"
PEER = "bare FastAPI + uvicorn"
ANOTHER_EACH_TIME = """local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", "/api/ml/predictions?limit=50&offset=" .. n)
end
"""


def run(size: str) -> Iterator[Comparison]:
    """Throughput of one request and of ever new ones, the 99th percentile at 500 requests/s, memory."""
    seconds = SECONDS[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        home = Path(root)
        make_home(home, SYMBOLS[size])
        with serving(*ours(free_port())) as service:
            (home / "answer.json").write_bytes(urllib.request.urlopen(service.url + QUERY).read())
            with serving(*bare(free_port())) as peer:
                both = (service, peer)
                rates = [requests_per_second(one.url + QUERY, seconds) for one in both]
                yield _throughput(f"{size}: the same request", rates, both)
                script = home / "another.lua"
                script.write_text(ANOTHER_EACH_TIME)
                rates = [requests_per_second(one.url + QUERY, seconds, script=script) for one in both]
                yield _throughput(f"{size}: every request another one", rates, both)
                found = [open_loop(one.url + QUERY, RATE, seconds) for one in both]
                note = ", ".join(f"p50 {1e3 * one.p50:.1f} ms, worst {1e3 * one.worst:.0f} ms" for one in found)
                note = f"ours and theirs: {note}; {found[0].failed} failed"
                measures = [Measure(one.p99, server.memory_mib) for one, server in zip(found, both, strict=True)]
                yield Comparison(NAME, f"{size}: p99 at {RATE}/s, open loop", measures[0], PEER, measures[1], 0.0, note)
            yield _memory(size, service)


def _throughput(title: str, rates: list[float], servers: tuple[Server, Server]) -> Comparison:
    measures = [Measure(1000 / rate, server.memory_mib) for rate, server in zip(rates, servers, strict=True)]
    note = f"seconds for 1,000 requests; {rates[0]:,.0f} and {rates[1]:,.0f} requests/s, load {os.getloadavg()[0]:.1f}"
    return Comparison(NAME, title, measures[0], PEER, measures[1], 0.0, note)


def _memory(size: str, service: Server) -> Comparison:
    """Resident memory after a tenth of the requests, and after all of them."""
    count = REQUESTS[size]
    rate = requests_per_second(service.url + QUERY, 2)
    requests_per_second(service.url + QUERY, count / 10 / rate)
    early = service.memory_mib
    requests_per_second(service.url + QUERY, 0.9 * count / rate)
    late = service.memory_mib
    note = f"{early:.1f} MiB after {count // 10:,} requests, {late:.1f} MiB after {count:,}"
    return Comparison(NAME, f"{size}: memory", Measure(late, late), "itself, earlier", Measure(early, early), 0.0, note)
