from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli_keys import keys_app
from serving.security_keys import KeyStore

RUN = CliRunner()


def run(*arguments: str) -> str:
    done = RUN.invoke(keys_app, [*arguments, "--profile", "test"])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "home" / "test" / "state" / "api_keys.json")


def test_a_key_is_shown_once_and_opens_the_service_until_it_is_revoked(store: KeyStore) -> None:
    shown = run("add", "phone")
    key = shown.splitlines()[0]
    assert re.fullmatch(r"th_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", key)
    assert "this once" in shown
    found = store.find(key.encode())
    assert found is not None
    assert found.name == "phone"
    listed = run("list")
    assert "phone" in listed
    assert key not in listed
    assert key.split("_", 2)[2] not in run("list", "--format", "json")
    assert f"key 'phone' (id {found.id}) is revoked" in run("revoke", "phone")
    assert json.loads(run("list", "--format", "json"))[0]["revoked_at"] is not None


def test_before_the_first_key_the_list_says_how_to_make_one(store: KeyStore) -> None:
    assert "tradehits serve keys add NAME" in run("list")
    assert json.loads(run("list", "--format", "json")) == []
