"""XGBoost and Gemini together: `GeminiEnsemble` for a client, and the pieces that inference and the service use."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from types import TracebackType
from typing import TYPE_CHECKING, Any

from configs.settings import Settings, load_settings
from market.assets import ASSET_TYPES, AssetType
from market.errors import BadBarsError, MarketDataError, UnknownSymbolError
from market.symbols import canonical_symbol
from serving.ensemble_decision import EnsembleDecision, combine, ensemble_answer
from serving.gemini_desk import OpinionDesk, gather_opinions
from serving.gemini_opinion import MarketValue, Opinion, Question
from serving.gemini_prompt import MARKET_FIELDS, market_data_of, validated
from serving.snapshot import Snapshot, load_snapshot

if TYPE_CHECKING:
    from serving.snapshot_rows import RealtimeRow

__all__ = [
    "EnsembleDecision",
    "GeminiEnsemble",
    "Opinion",
    "OpinionDesk",
    "Question",
    "combine",
    "ensemble_answer",
    "gather_opinions",
    "market_data_of",
]


class GeminiEnsemble:
    """The newest stored prediction of a symbol, joined by Gemini's opinion on the same bar.

    Works in a running event loop and under `asyncio.run`. As an asynchronous context manager it keeps its connections
    for the loop it was entered in.
    """

    def __init__(self, settings: Settings | None = None, *, snapshots: Callable[[], Snapshot] | None = None) -> None:
        """Read nothing but settings yet.

        Args:
            settings: Default: those of `TRADEHITS_PROFILE`, else of the profile `sample`.
            snapshots: Gives the snapshot to answer from; default: the profile's newest published one.

        Raises:
            ConfigError: The settings cannot be read.
        """
        self._settings = load_settings() if settings is None else settings
        self._snapshots = snapshots
        self._loaded: tuple[tuple[int, int], Snapshot] | None = None
        self._desk: OpinionDesk | None = None

    async def __aenter__(self) -> GeminiEnsemble:
        """Keep connections until the end of the block."""
        self._desk = OpinionDesk(self._settings)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close connections."""
        desk, self._desk = self._desk, None
        if desk is not None:
            await desk.__aexit__(kind, error, trace)

    async def get_ensemble_prediction(
        self, symbol: str, asset_type: str = "stocks", market_data: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The ensemble's prediction for the symbol's newest closed bar.

        Args:
            symbol: As the exchange writes it, or canonical.
            asset_type: stocks, etf or crypto.
            market_data: Further facts about that bar. Only fields of `serving.gemini_prompt.MARKET_FIELDS` count, and
                the stored bar's own value goes before a given one; anything else, `xgb_prob` too, is dropped.

        Returns:
            The API's `ensemble-prediction` object.

        Raises:
            UnknownSymbolError: There is no prediction for this symbol; near names are in the remedy.
            MarketDataError: The asset class is unknown, or a known field is no finite number (no known regime).
            SnapshotError: Nothing was published yet, or the file is damaged.
        """
        asset_class = _asset_class(asset_type)
        given = validated(market_data or {})
        snapshot = await self._snapshot()
        row = _newest_row(snapshot, asset_class, symbol)
        known = {**given, **market_data_of(asdict(row))}
        facts: dict[str, MarketValue] = {name: known[name] for name in MARKET_FIELDS if name in known}
        opinion = await self._opinion(row, facts)
        decision = combine(
            asset_class,
            row.xgb_up_probability,
            opinion,
            snapshot.champions[asset_class].thresholds,
            self._settings.ensemble.xgboost_weight.of(asset_class),
        )
        return ensemble_answer(row, opinion, decision, facts)

    async def _opinion(self, row: RealtimeRow, facts: Mapping[str, MarketValue]) -> Opinion:
        question = Question(row.asset_type, row.symbol, row.datetime, row.bar_known_at, facts)
        allowed, seconds = not row.is_outcome_known, self._settings.gemini.answer_deadline_seconds
        if self._desk is not None:
            opinions = await self._desk.gather([question], allow_calls=allowed, deadline_seconds=seconds)
        else:
            opinions = await gather_opinions(self._settings, [question], allow_calls=allowed, deadline_seconds=seconds)
        return opinions[0]

    async def _snapshot(self) -> Snapshot:
        if self._snapshots is not None:
            return self._snapshots()
        return await asyncio.to_thread(self._published)

    def _published(self) -> Snapshot:
        """The published snapshot, read again when another one was put in its place."""
        path = self._settings.paths.snapshot_file
        try:
            found = path.stat()
        except FileNotFoundError:
            return load_snapshot(path)
        identity = (found.st_ino, found.st_mtime_ns)
        if self._loaded is None or self._loaded[0] != identity:
            self._loaded = (identity, load_snapshot(path))
        return self._loaded[1]


def _asset_class(given: str) -> AssetType:
    name = given.strip().lower()
    for known in ASSET_TYPES:
        if name == known:
            return known
    raise MarketDataError(
        f"unknown asset class {given!r:.40}", field="asset_type", remedy=f"one of {', '.join(ASSET_TYPES)}"
    )


def _newest_row(snapshot: Snapshot, asset_type: AssetType, given: str) -> RealtimeRow:
    try:
        symbol = canonical_symbol(asset_type, given)
    except BadBarsError as error:
        raise UnknownSymbolError(error.message, remedy=error.remedy) from error
    row = snapshot.latest_realtime(asset_type, symbol)
    if row is None:
        near = difflib.get_close_matches(symbol, snapshot.symbols.get(asset_type, ()), n=3)
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise UnknownSymbolError(
            f"no prediction for {asset_type} symbol {symbol}", remedy=f"{hint}ingest its bars, then run: tradehits run"
        )
    return row
