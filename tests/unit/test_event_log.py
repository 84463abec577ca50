"""The event log: one JSON line an event, no secret in it, a file of bounded size for many processes."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.event_log import EVENTS, event, event_log
from configs.secrets import masker
from configs.settings import ENV_PREFIX, Settings, load_settings
from market.errors import ConfigError

SECRET = "s3cr3t-Pa55phrase"  # of nobody
PLANTED = {
    "GEMINI_API_KEY": "gem-4711-abcdef",
    "TRADEHITS_REDIS_PASSWORD": 'pass"word\\with/marks',
    "TRADEHITS_ALERT_URL_MAIL": f"mailtos://ada:{SECRET}@smtp.example.com?to=desk@example.com",
    "TRADEHITS_ALERT_URL_HOOK": "jsons://hooks.example.com/tradehits?+Authorization=Bearer%20TOK-987-654",
    "OTEL_EXPORTER_OTLP_HEADERS": "api-key=collector-key-1,x=y",
}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    def made(**given: str) -> Settings:
        for name, value in given.items():
            monkeypatch.setenv(f"{ENV_PREFIX}OBSERVABILITY__{name.upper()}", value)
        return load_settings("test")

    return made


def lines(settings: Settings) -> list[dict[str, Any]]:
    return [json.loads(line) for line in settings.paths.event_log.read_text().splitlines()]


def test_an_event_is_one_line_with_the_fields_of_every_event_first(settings: Callable[..., Settings]) -> None:
    given = settings()
    with event_log(given, run_id="r1", command="train"):
        event("step.ended", note="two\nlines", seconds=1.5, counts={"rows": 3}, step="read", gone=None)
    (line,) = lines(given)
    assert list(line) == ["time", "level", "event", "run_id", "profile", "command", "step", "counts", "seconds", "note"]
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "step.ended",
        "run_id": "r1",
        "profile": "test",
        "command": "train",
        "step": "read",
        "counts": {"rows": 3},
        "seconds": 1.5,
        "note": "two\nlines",
    }


def test_where_no_log_is_open_an_event_goes_nowhere(
    settings: Callable[..., Settings], capfd: pytest.CaptureFixture[str]
) -> None:
    given = settings()
    with event_log(given):
        pass
    event("step.ended", level=logging.ERROR)
    assert not given.paths.event_log.exists()
    assert EVENTS.handlers == []
    assert capfd.readouterr() == ("", "")


def test_the_projects_warnings_are_kept_and_its_chatter_and_others_are_not(settings: Callable[..., Settings]) -> None:
    given = settings()
    with event_log(given, command="predict"):
        logging.getLogger("serving.gemini_desk").warning("Gemini is not asked: %s", "no key")
        logging.getLogger("tradehits").info("walk-forward: started")
        logging.getLogger("urllib3").warning("somebody else's")
    (line,) = lines(given)
    assert (line["event"], line["level"], line["logger"]) == ("log", "warning", "serving.gemini_desk")
    assert (line["message"], line["command"]) == ("Gemini is not asked: no key", "predict")


def test_a_terminal_sees_events_only_where_the_settings_say_so_and_never_on_standard_output(
    settings: Callable[..., Settings], capfd: pytest.CaptureFixture[str]
) -> None:
    with event_log(settings()):
        event("one.happened")
    assert capfd.readouterr() == ("", "")
    with event_log(settings(stderr="true", file="false")):
        event("two.happened")
    out, err = capfd.readouterr()
    assert (out, json.loads(err)["event"]) == ("", "two.happened")


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_planted_secret_never_appears(
    name: str, settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in PLANTED.items():
        monkeypatch.setenv(variable, value)
    given = settings()
    with event_log(given, command="alerts deliver"):
        event("step.ended", message=f"cannot send to {PLANTED[name]}!", deep={"a": [f"<{PLANTED[name]}>"]})
        logging.getLogger("monitoring.delivery").warning("failed: %r", PLANTED[name])
        try:
            raise ConnectionError(PLANTED[name])
        except ConnectionError:
            logging.getLogger("flows.alerts").exception("failed")
    written = given.paths.event_log.read_text()
    for value in (PLANTED[name], json.dumps(PLANTED[name])[1:-1], SECRET, "TOK-987-654", "collector-key-1"):
        assert value not in written
    assert written.count("***") >= 4
    assert [line["level"] for line in lines(given)] == ["info", "warning", "error"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ada:hunter2@db:5432/x", "postgresql://***@db:5432/x"),
        ("GET https://h/x?symbol=NVDA&api_key=abc123&n=1", "GET https://h/x?symbol=NVDA&api_key=***&n=1"),
        ("Authorization: Bearer abc.def.ghi-jkl", "Authorization: Bearer ***"),
        ("key th_0a1b2c3d_abcdefghijklmnopqrstuvwxyz refused", "key *** refused"),
        ("posts to hooks.slack.com/services/T1/B1/xyz now", "posts to *** now"),
        ("stocks: 12 symbols of 24 have no prediction", "stocks: 12 symbols of 24 have no prediction"),
        ("basic materials; monkey=1; the key is in the door", "basic materials; monkey=1; the key is in the door"),
    ],
)
def test_what_looks_like_a_credential_is_hidden_and_ordinary_words_are_not(text: str, shown: str) -> None:
    assert masker({})(text) == shown


def test_a_short_value_hides_no_ordinary_words() -> None:
    assert masker({"SORT_KEY": "stock"})("stocks and stock") == "stocks and stock"
    assert masker({"HOME": "/home/ada-lovelace"})("in /home/ada-lovelace") == "in /home/ada-lovelace"


WRITER = """
import sys
from configs.event_log import event, event_log
from configs.settings import load_settings
with event_log(load_settings("test"), run_id=sys.argv[1]):
    for number in range(200):
        event("one.happened", number=number)
"""


def test_many_processes_write_whole_lines_to_one_file(settings: Callable[..., Settings]) -> None:
    given = settings(log_bytes="10000", log_files="50")
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, name]) for name in ("a", "b", "c")]
    assert [one.wait(timeout=120) for one in writers] == [0, 0, 0]
    files = sorted(given.paths.event_log.parent.glob("events.jsonl*"))
    found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert len(files) > 3
    assert sorted((one["run_id"], one["number"]) for one in found) == [(n, i) for n in "abc" for i in range(200)]


def test_old_lines_go_when_the_files_are_full(settings: Callable[..., Settings]) -> None:
    given = settings(log_bytes="4096", log_files="2")
    with event_log(given):
        for number in range(300):
            event("one.happened", number=number)
    folder = given.paths.event_log.parent
    assert sorted(path.name for path in folder.glob("events.jsonl*")) == [
        "events.jsonl",
        "events.jsonl.1",
        "events.jsonl.2",
    ]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 3 * (4096 + 200)
    assert lines(given)[-1]["number"] == 299 or not lines(given)


def test_a_folder_that_cannot_be_written_costs_one_sentence(
    settings: Callable[..., Settings], capfd: pytest.CaptureFixture[str]
) -> None:
    given = settings()
    Path(given.paths.home).mkdir(parents=True)
    given.paths.event_log.parent.write_text("a file where the folder should be")
    with event_log(given):
        event("one.happened")
        event("two.happened")
    assert capfd.readouterr().err.count("events are not kept") == 1


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4318", "ftp://h/x", "http://ada:secret@h/v1", "http://h/?key=a"])
def test_an_address_that_is_none_or_holds_a_secret_is_refused(endpoint: str, settings: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigError, match=r"observability\.otlp_endpoint"):
        settings(otlp_endpoint=endpoint)


def test_nothing_of_opentelemetry_is_loaded_without_an_endpoint() -> None:
    code = (
        "import sys; from configs.settings import load_settings; from flows.observing import observed_command\n"
        "with observed_command(load_settings('test'), 'x'): pass\n"
        "print(sorted(m for m in sys.modules if m.startswith('opentelemetry')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
