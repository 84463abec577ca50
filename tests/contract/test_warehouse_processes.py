"""Several threads and processes on one file: readers share, a writer is alone, a killed writer leaves the old state."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from market.errors import WarehouseLockedError
from tests.contract.warehouse_engines import bars, file_engine, stored
from warehouse.warehouse import Write

REPO = Path(__file__).resolve().parents[2]
PRELUDE = """
import sys
from pathlib import Path
from tests.contract.warehouse_engines import bars, file_engine, stored
from warehouse.warehouse import Write
warehouse = file_engine(Path(sys.argv[1]), lock_timeout_seconds=60.0)
"""


def _start(folder, body):
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(body), str(folder)],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        stdout=subprocess.PIPE,
        text=True,
    )


def _line(process):
    line = process.stdout.readline()
    assert line, f"the process ended with {process.wait()}"
    return line.strip()


def test_writers_of_two_processes_lose_no_row(tmp_path):
    file_engine(tmp_path).ensure_schema()
    body = """
    for day in range(8):
        warehouse.write([Write("ml_models.bars", rows=bars(("stocks", sys.argv[2], day, float(day))), mode="append")])
        assert any(row[1] == sys.argv[2] for row in stored(warehouse))
    """
    code = PRELUDE + textwrap.dedent(body)
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name], cwd=REPO, env=env) for name in ("A", "B")
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert stored(file_engine(tmp_path)) == [
        ("stocks", name, day, float(day)) for name in ("A", "B") for day in range(8)
    ]


def test_threads_of_one_process_write_and_read_the_same_file(tmp_path):
    warehouse = file_engine(tmp_path, lock_timeout_seconds=60.0)
    warehouse.ensure_schema()
    failures = []

    def work(name):
        other = file_engine(tmp_path, lock_timeout_seconds=60.0)
        try:
            for day in range(4):
                one = warehouse if day % 2 else other
                one.write([Write("ml_models.bars", rows=bars(("stocks", name, day, 1.0)))])
                with one.read() as first, warehouse.read() as second:
                    counts = [c.query("SELECT COUNT(*) AS n FROM ml_models.bars").to_pylist() for c in (first, second)]
                    assert counts[0] == counts[1]
        except Exception as error:  # noqa: BLE001  a thread's failure must reach the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ABC"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert failures == []
    assert len(stored(warehouse)) == 12


def test_a_writer_waits_for_a_reader_of_another_process_and_names_the_lock_when_it_gives_up(tmp_path):
    file_engine(tmp_path).write([Write("ml_models.bars", rows=bars(("stocks", "A", 1, 1.0)))])
    body = """
    with warehouse.read() as connection:
        print("reading", flush=True)
        sys.stdin.readline()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(body), str(tmp_path)],
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert _line(process) == "reading"
    hasty = file_engine(tmp_path, lock_timeout_seconds=0.2)
    assert len(stored(hasty)) == 1, "readers of two processes share"
    with pytest.raises(WarehouseLockedError) as refusal:
        hasty.write([Write("ml_models.bars", rows=bars(("stocks", "A", 2, 2.0)))])
    assert "warehouse.duckdb.lock" in str(refusal.value)
    assert "warehouse.lock_timeout_seconds" in refusal.value.remedy
    process.communicate("\n", timeout=60)
    hasty.write([Write("ml_models.bars", rows=bars(("stocks", "A", 2, 2.0)))])
    assert len(stored(hasty)) == 2


def test_a_thread_gives_up_on_another_threads_reading_too(tmp_path):
    warehouse = file_engine(tmp_path, lock_timeout_seconds=0.2)
    warehouse.ensure_schema()
    caught = []

    def write():
        try:
            warehouse.write([Write("ml_models.bars", rows=bars(("stocks", "A", 1, 1.0)))])
        except WarehouseLockedError as error:
            caught.append(error)

    with warehouse.read():
        thread = threading.Thread(target=write)
        thread.start()
        thread.join(timeout=60)
    assert len(caught) == 1


@pytest.mark.parametrize("place", ["staged", "inserted", "committed"])
def test_a_writer_killed_anywhere_leaves_the_old_state_or_the_new_one(tmp_path, place):
    old = [("stocks", "A", day, 1.0) for day in range(50)]
    new = [("stocks", "A", day, 2.0) for day in range(50)]
    file_engine(tmp_path).write([Write("ml_models.bars", rows=bars(*old))])
    body = f"""
    import warehouse.duckdb as engine, warehouse.duckdb_apply as apply, time
    def stop(*_):
        print("here", flush=True)
        time.sleep(600)
    if {place!r} == "staged":
        engine.apply_staged = stop
    elif {place!r} == "inserted":
        apply._note_writes = stop
    else:
        whole = apply.apply_staged
        engine.apply_staged = lambda *a: (whole(*a), stop())
    rows = bars(*(("stocks", "A", day, 2.0) for day in range(50)))
    warehouse.write([Write("ml_models.bars", rows=rows)])
    """
    process = _start(tmp_path, body)
    assert _line(process) == "here"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    process.stdout.close()
    staging = tmp_path / "staging"
    assert any(path.name.startswith("write@") for path in staging.iterdir()), "the killed write left its staging"
    survivor = file_engine(tmp_path)
    assert stored(survivor) == (new if place == "committed" else old)
    survivor.write([Write("ml_models.bars", rows=bars(("stocks", "B", 1, 1.0)))])
    assert [path.name for path in staging.iterdir() if not path.name.startswith("spill@")] == [], (
        "the next write swept it"
    )


def test_a_young_staging_folder_of_a_living_process_is_left_alone(tmp_path):
    warehouse = file_engine(tmp_path)
    warehouse.ensure_schema()
    import socket

    living = tmp_path / "staging" / f"write@{socket.gethostname()}@{os.getpid()}@x"
    elsewhere = tmp_path / "staging" / "write@another-host@1@x"
    ancient = tmp_path / "staging" / "write@another-host@2@x"
    for folder in (living, elsewhere, ancient):
        folder.mkdir(parents=True)
    os.utime(ancient, (0, 0))
    warehouse.write([Write("ml_models.bars", rows=bars(("stocks", "A", 1, 1.0)))])
    assert living.exists()
    assert elsewhere.exists()
    assert not ancient.exists()
