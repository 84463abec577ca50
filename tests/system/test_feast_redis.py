"""The newest features in a real Redis server, through the same reads as in SQLite."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from configs.settings import Settings, load_settings
from feature_repo import store as feast_store
from feature_repo.services import SERVICES
from market.errors import ConfigError, FeatureError
from tests.integration.feast_rows import SYMBOLS, bars, put, with_features

pytestmark = pytest.mark.system

PASSWORD = '0123"=é'
FEATURES = with_features(bars())
START_SECONDS = 20


@dataclass(frozen=True)
class Server:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]


def program() -> str:
    """The server's executable; without it the tests are skipped loudly, in CI they fail."""
    found = shutil.which("redis-server")
    if found is None:
        reason = "Redis was NOT tested: no redis-server on PATH; run `apt-get install redis-server`"
        sys.stderr.write(f"\n{reason}\n")
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    command = program()
    folder = tmp_path_factory.mktemp("redis")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([command, *options, "--requirepass", PASSWORD], stdout=log, stderr=log)
    try:
        _wait_until_open(port, folder / "log")
        yield Server(port, process)
    finally:
        process.terminate()
        process.wait(timeout=15)


def _wait_until_open(port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"Redis did not answer within {START_SECONDS} s:\n{log.read_text()[-2000:]}")


def configured(home: Path, port: int, *, password: str | None = PASSWORD, online: str = "redis") -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEHITS_HOME", str(home))
        patch.setenv("TRADEHITS__FEAST__ONLINE_STORE", online)
        patch.setenv("TRADEHITS__FEAST__REDIS__HOST", "127.0.0.1")
        patch.setenv("TRADEHITS__FEAST__REDIS__PORT", str(port))
        patch.delenv("TRADEHITS_REDIS_PASSWORD", raising=False)
        if password is not None:
            patch.setenv("TRADEHITS_REDIS_PASSWORD", password)
        return load_settings("test")


@pytest.fixture(scope="module")
def settings(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = configured(tmp_path_factory.mktemp("redis_home"), server.port)
    put(made, FEATURES)
    feast_store.apply(made)
    feast_store.materialize(made)
    return made


@pytest.mark.parametrize("service", SERVICES)
def test_redis_gives_what_sqlite_gives(settings: Settings, service: str, tmp_path: Path) -> None:
    sqlite = configured(tmp_path, settings.feast.redis.port, online="sqlite")
    put(sqlite, FEATURES)
    feast_store.apply(sqlite)
    feast_store.materialize(sqlite)
    for asset_type in ("stocks", "etf", "crypto"):
        symbols = [*(symbol for kind, symbol in SYMBOLS if kind == asset_type), "NOPE"]
        in_redis = feast_store.read_online(settings, service, asset_type, symbols)
        in_sqlite = feast_store.read_online(sqlite, service, asset_type, symbols)
        assert in_redis.rows.equals(in_sqlite.rows)
        assert in_redis.rows.height == len(symbols) - 1
        assert in_redis.missing == in_sqlite.missing == ("NOPE",)


def test_a_bar_long_past_its_time_to_live_is_still_there_with_its_stamp(settings: Settings) -> None:
    rows = feast_store.read_online(settings, "default", "stocks", ["GONE"]).rows
    assert rows["bar_known_at"].to_list() == [datetime(2005, 5, 16, 21, 15, tzinfo=UTC)]


def test_a_corrected_bar_replaces_the_loaded_one(settings: Settings) -> None:
    corrected = FEATURES.with_columns(pl.col("cci") + 1000.0, pl.col("created_timestamp") + timedelta(days=1))
    put(settings, corrected)
    feast_store.materialize(settings)
    rows = feast_store.read_online(settings, "default", "etf", ["SPY"]).rows
    expected = corrected.filter(pl.col("symbol") == "SPY").tail(1)
    assert rows["cci"].to_list() == expected["cci"].to_list()
    assert expected["cci"].null_count() == 0


def test_a_wrong_password_and_an_absent_server_are_named_with_a_remedy(
    settings: Settings, server: Server, tmp_path: Path
) -> None:
    put(settings, FEATURES)
    for password, port in (("wrong", server.port), (None, server.port), (PASSWORD, 1)):
        other = configured(settings.paths.home.parent, port, password=password)
        with pytest.raises(FeatureError, match=r"127\.0\.0\.1:.* does not answer") as caught:
            feast_store.read_online(other, "default", "etf", ["SPY"])
        assert "TRADEHITS_REDIS_PASSWORD" in caught.value.remedy
        with pytest.raises(FeatureError, match="does not answer"):
            feast_store.materialize(other)
        assert PASSWORD not in str(caught.value)


def test_a_password_is_never_shown_and_never_a_setting(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PASSWORD not in repr(settings)
    assert PASSWORD not in str(settings.model_dump())
    monkeypatch.setenv("TRADEHITS__FEAST__REDIS__PASSWORD", "x")
    with pytest.raises(ConfigError, match="TRADEHITS_REDIS_PASSWORD"):
        load_settings("test")
