from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from market.errors import ApiKeyError
from serving.security_keys import RECHECK_SECONDS, KeyStore


class Clock:
    """Seconds that a test moves by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "api_keys.json"


def test_a_key_is_found_by_its_text_and_by_nothing_else(file: Path) -> None:
    store = KeyStore(file)
    _, first = store.add("reports")
    made, text = store.add("phone")
    assert store.find(text.encode()) == made
    assert made.name == "phone"
    assert store.find(first.encode()).name == "reports"  # type: ignore[union-attr]
    last = text[-1]
    wrong = [
        text[:-1] + ("A" if last != "A" else "B"),
        text[:-1],
        text + "A",
        text.upper(),
        f"th_{made.id}_",
        "",
        "th",
        "_" * 5,
    ]
    crossed = f"th_{made.id}_{first.split('_', 2)[2]}"
    for other in [*wrong, crossed, "th_ffffffff_" + text.split("_", 2)[2], "\xff\x00"]:
        assert store.find(other.encode("latin-1")) is None


def test_the_file_holds_no_secret_and_is_its_owners_alone(file: Path) -> None:
    _, text = KeyStore(file).add("phone")
    secret = text.split("_", 2)[2]
    assert len(secret) >= 43, "32 random bytes"
    assert secret not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir() if path.suffix == ".tmp"] == []


def test_a_revoked_key_counts_no_more_and_its_name_is_free_again(file: Path) -> None:
    store = KeyStore(file)
    made, text = store.add("phone")
    with pytest.raises(ApiKeyError, match="there is a key named 'phone'"):
        store.add("phone")
    assert store.revoke("phone").id == made.id
    assert store.find(text.encode()) is None
    assert not store.any_valid()
    with pytest.raises(ApiKeyError, match="no key 'phone' counts"):
        store.revoke("phone")
    again, _ = store.add("phone")
    assert store.revoke(again.id).name == "phone", "an id names a key as well"
    assert [(key.name, key.revoked_at is None) for key in store.entries()] == [("phone", False), ("phone", False)]


def test_a_running_service_notices_new_and_revoked_keys_within_a_second(file: Path) -> None:
    clock = Clock()
    service, operator = KeyStore(file, clock=clock), KeyStore(file)
    assert service.find(b"th_0_0") is None
    _, text = operator.add("phone")
    clock.now += RECHECK_SECONDS / 2
    assert service.find(text.encode()) is None, "the file is not looked at on every request"
    clock.now += RECHECK_SECONDS
    assert service.find(text.encode()) is not None
    operator.revoke("phone")
    clock.now += RECHECK_SECONDS
    assert service.find(text.encode()) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format": 2, "keys": []}', '{"format": 1, "keys": [{"id": "a"}]}', "\x00"]
)
def test_a_damaged_file_lets_nobody_in_until_it_is_mended(
    file: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    store = KeyStore(file, clock=clock)
    _, text = store.add("phone")
    good = file.read_bytes()
    assert store.find(text.encode()) is not None
    file.write_text(content)
    clock.now += RECHECK_SECONDS
    assert store.find(text.encode()) is None
    assert "no key is accepted until then" in caplog.text
    with pytest.raises(ApiKeyError, match="cannot be read"):
        store.add("another")
    file.write_bytes(good)
    clock.now += RECHECK_SECONDS
    assert store.find(text.encode()) is not None


@pytest.mark.parametrize("name", ["", " x", "a\nb", "a" * 65, "naïve", '"', "-rm"])
def test_a_name_that_could_spoil_a_log_line_is_refused(file: Path, name: str) -> None:
    with pytest.raises(ApiKeyError, match="is no name"):
        KeyStore(file).add(name)
    assert not file.exists()


def test_the_file_says_what_it_is(file: Path) -> None:
    made, _ = KeyStore(file).add("phone")
    document = json.loads(file.read_text())
    assert document["format"] == 1
    assert document["keys"] == [
        {"id": made.id, "name": "phone", "hash": made.hash, "created_at": made.created_at, "revoked_at": None}
    ]
