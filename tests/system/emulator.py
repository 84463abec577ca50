"""A BigQuery emulator in its own process, and the real client pointed at it."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

PROJECT = "aialgotradehits"
PROGRAM = Path(__file__).resolve().parents[2] / ".venv-emulator" / "bin" / "local-bigquery"
QUICKER = Path(__file__).with_name("emulator_program.py")
START_SECONDS = 60


def emulator_program() -> Path:
    """The emulator's executable; without it the tests are skipped loudly, in CI they fail."""
    if not PROGRAM.exists():
        reason = f"BigQuery was NOT tested: {PROGRAM} is missing; run `bash tests/system/emulator_env.sh` (Python 3.13)"
        sys.stderr.write(f"\n{reason}\n")
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return PROGRAM


@dataclass(frozen=True)
class Emulator:
    """Where a running emulator answers: REST with its scheme, and the Storage API's `host:port`."""

    host: str
    storage_host: str

    def client(self, project: str = PROJECT) -> bigquery.Client:
        """Google's own client, pointed at the emulator."""
        return bigquery.Client(
            project, credentials=AnonymousCredentials(), client_options={"api_endpoint": self.host}, location="US"
        )


@contextmanager
def running_emulator(folder: Path) -> Iterator[Emulator]:
    """Start the emulator on free ports with its data under `folder`; stops it after."""
    program = emulator_program()
    port, grpc_port = _free_ports(2)
    command = [program.with_name("python"), "-P", QUICKER, "--host", "127.0.0.1", "--port", port]
    command += ["--grpc-port", grpc_port, "--project", PROJECT, "--data-dir", folder / "data"]
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, cwd=folder)
        try:
            _wait_until_open(process, port, folder / "emulator.log")
            yield Emulator(f"http://127.0.0.1:{port}", f"127.0.0.1:{grpc_port}")
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def run(client: bigquery.Client, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Run a statement with bound parameters; rows come over REST."""
    bound = [bigquery.ScalarQueryParameter(name, _type(value), value) for name, value in (parameters or {}).items()]
    job = client.query(sql, job_config=bigquery.QueryJobConfig(query_parameters=bound))
    return [dict(row.items()) for row in job.result()]


def load(client: bigquery.Client, table: str, rows: pa.Table) -> None:
    """Append rows by a parquet load job, as production does."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    buffer.seek(0)
    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET, write_disposition=bigquery.WriteDisposition.WRITE_APPEND
    )
    client.load_table_from_file(buffer, f"{PROJECT}.{table}", job_config=config).result()


def _type(value: Any) -> str:
    if isinstance(value, datetime):
        return "TIMESTAMP"
    return "DATE" if isinstance(value, date) else "STRING"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait_until_open(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the emulator ended at once:\n{log.read_text()[-2000:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail(f"the emulator did not answer within {START_SECONDS} s:\n{log.read_text()[-2000:]}")
