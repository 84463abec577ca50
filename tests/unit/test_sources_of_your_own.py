"""The example of docs/sources.md is a source, and the document names every option there is."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime

import pytest

import warehouse.sources
from configs.settings import REPO_DIR, load_settings
from configs.sources import OPTIONS_BY_SOURCE
from market.bars import BAR_SCHEMA
from market.errors import BadBarsError
from warehouse.sources.base import RawSource, open_source, source_names

DOCUMENT = (REPO_DIR / "docs" / "sources.md").read_text()
NOW = datetime(2024, 3, 16, 12, tzinfo=UTC)
BAR = (
    '{"asset_type":"crypto","symbol":"%s","datetime":"2024-03-1%dT00:00:00Z",'
    '"open":10,"high":11,"low":9,"close":%s,"volume":1}\n'
)


@pytest.fixture
def jsonl(tmp_path, monkeypatch):
    """The module of the document, among the sources for the length of one test."""
    (module,) = re.findall(r"```python\n(.*?)```", DOCUMENT, flags=re.DOTALL)
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "jsonl.py").write_text(module)
    monkeypatch.setattr(warehouse.sources, "__path__", [*warehouse.sources.__path__, str(tmp_path / "modules")])
    yield
    sys.modules.pop("warehouse.sources.jsonl", None)


def test_a_module_is_a_source(jsonl, tmp_path):
    path = tmp_path / "bars.jsonl"
    path.write_text(BAR % ("btcusdt", 1, "10") + BAR % ("btcusdt", 2, "10.5"))
    assert "jsonl" in source_names()
    source = open_source("jsonl", paths=[path], settings=load_settings("local"), now=NOW)
    bars = source.read("crypto")
    assert bars.schema == BAR_SCHEMA
    assert bars["symbol"].to_list() == ["BTC/USDT"] * 2
    assert isinstance(source, RawSource)
    assert source.raw("stocks") == []


def test_its_bars_pass_the_checks(jsonl, tmp_path):
    path = tmp_path / "bars.jsonl"
    path.write_text(BAR % ("btcusdt", 1, "10") + BAR % ("btcusdt", 2, "99"))
    with pytest.raises(BadBarsError) as caught:
        open_source("jsonl", paths=[path], settings=load_settings("local"), now=NOW).read()
    assert (caught.value.row, caught.value.column) == (2, "close")


def test_the_document_names_every_source_and_option():
    assert set(source_names()) == set(OPTIONS_BY_SOURCE)
    for source, options in OPTIONS_BY_SOURCE.items():
        assert f"`{source}`" in DOCUMENT
        for option in set(options.model_fields) - {"source"}:
            assert f"`{option}`" in DOCUMENT, f"{source}.{option}"
