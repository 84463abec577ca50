"""What the documents name exists: files behind links, commands with their options, settings, queries that run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.main import get_command

from configs.settings import CONFIG_DIR, REPO_DIR, load_settings
from flows.cli import app
from warehouse.engines import open_warehouse

DOCUMENTS = sorted([REPO_DIR / "README.md", *(REPO_DIR / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
PLACEHOLDER = re.compile(r"…|\.\.\.|\||<|\(|\)|;|\{")


def names(path: Path) -> str:
    return str(path.relative_to(REPO_DIR))


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    text = FENCED.sub("", document.read_text())
    targets = [found for found in LINK.findall(text) if not re.match(r"[a-z]+:", found)]
    for target in targets:
        file, _, anchor = target.partition("#")
        found = (document.parent / file).resolve() if file else document
        assert found.exists(), f"{names(document)} links to {target}"
        if anchor:
            assert anchor in anchors(found), f"{names(document)} links to {target}, and there is no such heading"


@cache
def anchors(document: Path) -> set[str]:
    """Anchors of a document's headings, as GitHub and others make them."""
    text = FENCED.sub("", document.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}


def commands(document: Path) -> Iterator[list[str]]:
    """Words after `tradehits` in fenced shell blocks and in code spans."""
    text = document.read_text()
    lines = [
        line
        for kind, block in FENCED.findall(text)
        if kind in ("", "bash", "sh", "console")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    for line in (*lines, *SPAN.findall(FENCED.sub("", text))):
        found = re.search(r"(?:^|[\s/])tradehits (?=[a-z-])(.+)$", line)
        others = re.match(r"^\s*(?:#|SELECT|✓|TradeHits|docker|gcloud)", line)
        if found is not None and not others and ": " not in line[: found.start()]:
            yield split(found[1])


def split(said: str) -> list[str]:
    """Words up to a comment, a pipe, or whatever stands for something else."""
    try:
        words = shlex.split(said, comments=True)
    except ValueError:  # a quotation that goes on in the next line
        words = said.split("#")[0].split()
    stop = next((n for n, word in enumerate(words) if word in ("&&", "||", "|", ">", ";") or "…" in word), len(words))
    return words[:stop]


@cache
def root() -> Any:
    return get_command(app)


def problem(words: list[str]) -> str:
    """Why these words are no command; empty when they are one."""
    command: Any = root()
    while words and hasattr(command, "commands") and (here := words[0].rstrip(",.:")) and not here.startswith("-"):
        if here not in command.commands:
            # a group that works by itself may take no argument: `tradehits audit and ...` is prose
            return f"no command '{here}'" if not PLACEHOLDER.search(here) else ""
        command, words = command.commands[here], words[1:]
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    for word in words:
        option = word.split("=")[0].rstrip(",.:")
        if option.startswith("--") and option not in known:
            return f"no option '{option}'"
    return ""


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_every_command_that_is_named_exists_with_its_options(document: Path) -> None:
    wrong = [f"tradehits {' '.join(words)}: {said}" for words in commands(document) if (said := problem(words))]
    assert wrong == []


def test_the_check_of_commands_finds_what_is_wrong() -> None:
    assert isinstance(app, typer.Typer)
    assert problem(["predict", "--date", "2026-01-01"]) == ""
    assert problem(["predicted"]) == "no command 'predicted'"
    assert problem(["models", "promoted"]) == "no command 'promoted'"
    assert problem(["predict", "--day", "2026-01-01"]) == "no option '--day'"
    assert sum(1 for document in DOCUMENTS for _ in commands(document)) > 150


def settings_of(document: str) -> set[str]:
    spans = SPAN.findall(FENCED.sub("", (REPO_DIR / "docs" / document).read_text()))
    sections = set(base())
    found = (re.match(r"^([a-z_]+(?:\.[a-z_]+)+)(?::.*)?$", span) for span in spans)
    return {match[1] for match in found if match and match[1].split(".")[0] in sections}


@cache
def base() -> dict[str, Any]:
    return dict(yaml.safe_load((CONFIG_DIR / "base.yaml").read_text()))


@pytest.mark.parametrize(
    ("document", "at_least"), [("scaling.md", 25), ("operations.md", 1), ("migrating-from-v2.md", 2)]
)
def test_every_setting_that_is_named_is_a_key_of_base_yaml(document: str, at_least: int) -> None:
    named = settings_of(document)
    assert len(named) >= at_least
    for name in named:
        found: Any = base()
        for part in name.split("."):
            assert isinstance(found, dict) and part in found, f"{document} names {name}"
            found = found[part]


def test_every_query_of_the_run_book_and_of_the_migration_is_understood() -> None:
    settings = load_settings("test")
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    asked = [
        query
        for document in ("operations.md", "migrating-from-v2.md")
        for query in queries((REPO_DIR / "docs" / document).read_text())
    ]
    assert len(asked) >= 9
    for query in asked:
        assert warehouse.query(query).num_rows <= 3, query  # nothing is stored: the status has a row a class


def queries(text: str) -> Iterator[str]:
    yield from (block for kind, block in FENCED.findall(text) if kind == "sql")
    yield from (span for span in SPAN.findall(FENCED.sub("", text)) if span.startswith("SELECT "))
