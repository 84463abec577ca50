"""Freshness: which symbols may be scored on their newest bar, and why the others may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import polars as pl

from configs.settings import Settings
from serving.predictor_bar import Bar, bar_of
from serving.predictor_read import Class

Reason = Literal["stale", "missing", "delisted"]


@dataclass(frozen=True)
class Unscored:
    """A symbol that is not scored.

    Attributes:
        reason: stale: its newest bar is not its class's; missing: no such bar is stored, or none can be read online;
            delisted: it trades no more.
        detail: The same in words, with the dates.
        newest: Stamp of its newest bar, None where there is none.
    """

    symbol: str
    reason: Reason
    detail: str
    newest: datetime | None


def fresh_symbols(found: Class, bar: Bar, stored: frozenset[str]) -> tuple[list[str], list[Unscored]]:
    """Symbols whose newest bar is the class's, and the others with the reason.

    Args:
        found: The class's symbols.
        bar: The bar that is scored.
        stored: Symbols of which features of this bar are stored.
    """
    fresh, unscored = [], []
    columns = found.symbols.select("symbol", "newest", "delisted_on")
    for symbol, newest, delisted_on in columns.iter_rows():
        if newest >= bar.stamp:
            if symbol in stored:
                fresh.append(symbol)
            else:
                unscored.append(Unscored(symbol, "missing", f"no features of {bar.stamp:%Y-%m-%d}", newest))
        elif delisted_on is not None:
            unscored.append(Unscored(symbol, "delisted", f"last traded on {delisted_on:%Y-%m-%d}", newest))
        else:
            detail = f"newest bar {newest:%Y-%m-%d}, the class has {bar.stamp:%Y-%m-%d}"
            unscored.append(Unscored(symbol, "stale", detail, newest))
    return fresh, unscored


def all_stale(settings: Settings, found: Class, now: datetime) -> tuple[Bar | None, str]:
    """The class's newest bar, and why nothing of the class may be scored; an empty text when it may."""
    if found.newest is None:
        return None, "no bar is stored"
    bar = bar_of(settings, found.asset_type, found.newest.date(), now)
    if bar is None:
        return None, f"its newest bar {found.newest:%Y-%m-%d} lies in no session of its calendar"
    limit = settings.inference.max_sessions_behind
    if bar.sessions_behind <= limit:
        return bar, ""
    clock = settings.clock.of(found.asset_type)
    return bar, (
        f"all {found.symbols.height:,} symbols are stale: the newest bar is {bar.stamp:%Y-%m-%d}, "
        f"{bar.sessions_behind:,} sessions have closed since by the clock ({now:%Y-%m-%d %H:%M} UTC); ingest newer "
        f"bars, or set clock.{found.asset_type} (now: {clock}) to end_of_data to replay bars that ended"
    )


def online_gaps(fresh: list[str], online: pl.DataFrame, bar: Bar) -> tuple[list[str], list[Unscored]]:
    """Fresh symbols that the online store answers with the same bar, and the others with the reason.

    Args:
        fresh: Symbols whose stored bar is new enough.
        online: From `feature_repo.online.read_online`.
        bar: The bar that is scored.
    """
    answered: Mapping[str, datetime] = dict(online.select("symbol", "datetime").iter_rows())
    good, gaps = [], []
    for symbol in fresh:
        stamp = answered.get(symbol)
        if stamp == bar.stamp:
            good.append(symbol)
        elif stamp is None:
            gaps.append(Unscored(symbol, "missing", "the online store has no row of it", None))
        else:
            detail = f"the online store answers with {stamp:%Y-%m-%d}, stored is {bar.stamp:%Y-%m-%d}"
            gaps.append(Unscored(symbol, "stale", detail, stamp))
    return good, gaps
