"""Benchmark `inference`: one morning's predictions of every symbol, end to end, against the script that people write.

Ours is `flows.inference.predict` on a warehouse into which the day's bars were just ingested: features of what
changed, publication to Feast, the load of the online store, the check that online equals offline, champion,
calibration, signals, outcomes of yesterday, the record, one transaction, and the service's snapshot. Gemini is not
asked.

The peer reads all bars from a parquet file into pandas, computes the same 30 features of every bar symbol by symbol
with TA-Lib, scores the newest rows with the same model and writes a file. It keeps no record, fills no outcome and
checks nothing.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.measure import Comparison, Measure, growth_exponent, measured

if TYPE_CHECKING:
    import pandas as pd

    from flows.context import Context

NAME = "inference"
SIZES = {"small": (150, 600), "full": (1500, 2500)}
"""Symbols, and bars of each."""

BARS, NEWEST, MODEL, SECOND = "bars.parquet", "newest.parquet", "model.ubj", "second.json"


def run(size: str) -> Iterator[Comparison]:
    """N symbols by both, a tenth of them by ours for the growth, and the same command again."""
    symbols, length = SIZES[size]
    with tempfile.TemporaryDirectory(prefix="tradehits-bench-") as root:
        folder, tenth = Path(root) / "whole", Path(root) / "tenth"
        for one, count in ((folder, symbols), (tenth, symbols // 10)):
            one.mkdir()
            measured(prepare, one, count, length)
        ours, smaller = measured(our_seconds, folder), measured(our_seconds, tenth)
        theirs = measured(peer_seconds, folder)
        second = json.loads((folder / SECOND).read_text())
        note = f"{_agreement(folder)}; again: {second['seconds']:.1f} s, {second['changed']} tables changed"
    label = f"{size}: {symbols:,} symbols x {length:,} bars"
    again = Measure(second["seconds"], ours.peak_mib)
    growth = growth_exponent(smaller, ours, 10)
    yield Comparison(NAME, label, ours, "pandas, everything in full", theirs, growth, note)
    yield Comparison(NAME, f"{label}, again", again, "itself the first time", ours, 0.0, "nothing new to score")


def prepare(folder: Path, symbols: int, length: int) -> float:
    """A home with a champion that knows all bars but the last; the last day's bars are ingested, and no more."""
    import polars as pl

    from bench.bars import random_bars
    from flows.features import features
    from flows.inference import predict
    from warehouse.ingest import ingest_asset_type

    start = time.perf_counter()
    context = _context(folder)
    bars = random_bars(symbols, length)
    is_last = pl.col("datetime") == pl.col("datetime").max()
    ingest_asset_type(context.warehouse, context.settings, bars.filter(~is_last), source="bench")
    features(context)
    _champion(context, folder)
    predict(context)  # yesterday's predictions, whose outcomes are to be filled
    ingest_asset_type(context.warehouse, context.settings, bars.filter(is_last), source="bench")
    bars.write_parquet(folder / BARS)
    return time.perf_counter() - start


def our_seconds(folder: Path) -> float:
    """One inference; then once more, which must change nothing."""
    import polars as pl

    from flows.inference import predict

    context = _context(folder)
    start = time.perf_counter()
    report = predict(context)
    seconds = time.perf_counter() - start
    assert report.classes[0].predicted == report.classes[0].symbols, report
    tables = ("ml_models.realtime_predictions", "ml_models.walk_forward_predictions_v2")
    before = [_content(context, table) for table in tables]
    start = time.perf_counter()
    predict(context)
    again = time.perf_counter() - start
    changed = sum(_content(context, table) != kept for table, kept in zip(tables, before, strict=True))
    (folder / SECOND).write_text(json.dumps({"seconds": again, "changed": changed}))
    newest = "SELECT symbol, xgb_up_probability FROM `ml_models.realtime_predictions` WHERE actual_direction IS NULL"
    pl.DataFrame(context.warehouse.query(newest)).write_parquet(folder / NEWEST)
    return seconds


def peer_seconds(folder: Path) -> float:
    """The script: read, compute everything, score the newest rows, write."""
    import pandas as pd
    import xgboost as xgb

    booster = xgb.Booster({"nthread": 2})
    booster.load_model(folder / MODEL)
    names = booster.feature_names
    start = time.perf_counter()
    bars = pd.read_parquet(folder / BARS)
    newest = []
    for symbol, own in bars.groupby("symbol", sort=True):
        computed = peer_features(own)
        newest.append({"symbol": symbol, **computed.iloc[-1][names].to_dict()})
    rows = pd.DataFrame(newest)
    probability = booster.predict(xgb.DMatrix(rows[names].astype("float32")))
    signal = np.where(probability >= 0.6, "BUY", np.where(probability <= 0.4, "SELL", "HOLD"))
    pd.DataFrame({"symbol": rows["symbol"], "probability": probability, "signal": signal}).to_parquet(
        folder / "peer.parquet"
    )
    return time.perf_counter() - start


def peer_features(own: pd.DataFrame) -> pd.DataFrame:
    """The default service's features of one symbol's bars, column by column."""
    import pandas as pd
    import talib

    high, low, close, volume = (own[name].to_numpy() for name in ("high", "low", "close", "volume"))
    made = pd.DataFrame(index=own.index)
    made["rsi"] = talib.RSI(close, 14)
    made["rsi_slope"] = made["rsi"].diff()
    made["rsi_overbought"], made["rsi_oversold"] = made["rsi"] > 70, made["rsi"] < 30
    _, _, histogram = talib.MACD(close, 12, 26, 9)
    before = pd.Series(histogram).shift().to_numpy()
    made["macd_histogram_pct"] = histogram / close * 100
    made["macd_rising"] = histogram > before
    made["macd_cross_up"] = (before <= 0) & (histogram > 0)
    made["pivot_high_flag"] = _pivot(own["high"])
    made["pivot_low_flag"] = _pivot(-own["low"])
    made["adx"] = talib.ADX(high, low, close, 14)
    made["plus_di"], made["minus_di"] = talib.PLUS_DI(high, low, close, 14), talib.MINUS_DI(high, low, close, 14)
    rising = pd.Series(talib.EMA(close, 12) > talib.EMA(close, 26), index=own.index)
    made["in_rise_cycle"] = rising
    made["rise_cycle_start"] = rising & ~rising.shift(fill_value=False)
    sma_50, sma_200 = own["close"].rolling(50).mean(), own["close"].rolling(200).mean()
    made["golden_cross"] = (sma_50.shift() <= sma_200.shift()) & (sma_50 > sma_200)
    made["death_cross"] = (sma_50.shift() >= sma_200.shift()) & (sma_50 < sma_200)
    for days in (5, 10, 20):
        made[f"momentum_{days}d"] = own["close"].pct_change(days) * 100
    made["atr_pct"] = talib.ATR(high, low, close, 14) / close * 100
    made["volume_ratio"] = own["volume"] / own["volume"].rolling(20, min_periods=10).mean()
    made["mfi"] = talib.MFI(high, low, close, volume, 14)
    made["cci"] = talib.CCI(high, low, close, 20)
    made["stoch_k"], made["stoch_d"] = talib.STOCHF(high, low, close, 14, 3)
    made["roc"] = talib.ROC(close, 12)
    points = made["rsi"].between(50, 70), histogram > 0, made["adx"] > 25, own["close"] > sma_200
    made["growth_score"] = 25 * sum(np.asarray(point, dtype=int) for point in points)
    made["rsi_volume_interaction"] = made["rsi"] * made["volume_ratio"]
    made["macd_atr_interaction"] = made["macd_histogram_pct"] * made["atr_pct"]
    made["adx_trend_interaction"] = made["adx"] * np.where(rising, 1, -1)
    return made


def _pivot(prices: pd.Series) -> pd.Series:
    """Two bars ago was strictly above the two before and the two after it."""
    middle = prices.shift(2)
    return (middle > prices.shift(4)) & (middle > prices.shift(3)) & (middle > prices.shift(1)) & (middle > prices)


def _context(folder: Path) -> Context:
    from configs.settings import load_settings
    from flows.context import Context
    from flows.prefecting import PlainTasks
    from flows.progress import LogReporter
    from warehouse.engines import open_warehouse

    os.environ["TRADEHITS_HOME"] = str(folder / "home")
    settings = load_settings("local")
    clock = settings.clock.model_copy(update={"crypto": "end_of_data"})
    settings = settings.model_copy(update={"clock": clock})
    warehouse = open_warehouse(settings)
    warehouse.ensure_schema()
    return Context(settings, warehouse, LogReporter(), PlainTasks())


def _champion(context: Context, folder: Path) -> None:
    """A model of the configured size on the newest rows, registered and published with a record of 60 days."""
    from dataclasses import replace

    import polars as pl

    from registry.models import ModelRegistry
    from registry.store import RunStore
    from registry.switch import PREDICTIONS_ARTIFACT
    from training.calibrate import Calibration, CalibrationFit
    from training.dataset import as_utc, load_dataset
    from training.model import fit
    from training.promotion import settle
    from training.tracking import make_bundle
    from training.walk_forward import WalkForward

    settings = context.settings
    dataset = load_dataset(settings, "crypto")
    used = np.flatnonzero(~np.isnan(dataset.label))[-200_000:]
    # random walks teach nothing: a law in the labels gives the model its trees
    lean = np.nan_to_num(dataset.matrix[:, :10]).sum(axis=1)
    law = (lean + np.random.default_rng(3).normal(0, 50, dataset.rows) > np.median(lean)).astype(np.float32)
    model = fit(replace(dataset, label=law), used, settings.training)
    recent = dataset.keys.filter(pl.col("datetime") > pl.col("datetime").max().dt.offset_by("-60d")).with_columns(
        fold=pl.lit(0, dtype=pl.Int64),
        fold_start=pl.col("bar_known_at").min(),
        trained_through=pl.col("bar_known_at").min(),
        up_probability=pl.lit(0.5),
    )
    store = RunStore(settings)
    registry = ModelRegistry(store)
    plain = CalibrationFit(None, 0, None, settings.thresholds.crypto.rules(), None)
    with store.start_run("crypto") as run_id:
        store.log_table(run_id, recent, PREDICTIONS_ARTIFACT)
        walk_forward = WalkForward([], recent, model, [])
        bundle = make_bundle(settings, run_id, dataset, walk_forward, Calibration({}, plain))
        version = registry.register(bundle, registry.log_bundle(run_id, bundle))
    registry.set_alias("crypto", "champion", version)
    settle(context.warehouse, settings, registry, "crypto")
    assert bundle.info.trained_through == as_utc(model.trained_through)
    model.booster.save_model(folder / MODEL)


def _content(context: Context, table: str) -> list[tuple[Any, ...]]:
    """Rows as they are, for the comparison of two states."""
    import polars as pl

    rows = pl.DataFrame(context.warehouse.query(f"SELECT * FROM `{table}`"))
    return rows.sort("asset_type", "symbol", "datetime").hash_rows().to_list()  # type: ignore[return-value]


def _agreement(folder: Path) -> str:
    """How far the two scripts' probabilities lie apart."""
    import polars as pl

    ours, theirs = pl.read_parquet(folder / NEWEST), pl.read_parquet(folder / "peer.parquet")
    both = ours.join(theirs, on="symbol")
    apart = (both["xgb_up_probability"] - both["probability"].cast(pl.Float64)).abs()
    return f"{both.height:,} probabilities, the two differ by at most {apart.max():.1e}"
