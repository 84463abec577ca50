"""Backtests from the warehouse to the warehouse: rows, identity, trials, portfolio, live predictions, named errors."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from flows.backtest import Backtested, BacktestQuestion, backtest
from flows.backtest_live import compare_live
from flows.backtest_log import BacktestLog
from flows.backtest_show import shown
from market.errors import BacktestError, ConfigError
from market.overfitting import ReturnShape, deflated_sharpe_ratio, trial_variance
from tests.backtest_world import CLASSES, LIVE, RECORD, BacktestWorld, make_world
from tests.contract.table_rows import insert, rows_of, select, utc
from warehouse.backtests import RESULTS_TABLE, TRADES_TABLE
from warehouse.warehouse import Write

STRATEGIES = ("high_confidence", "threshold", "probability_weighted")
MARCH = BacktestQuestion(strategies=("threshold",), start=date(2024, 3, 1), end=date(2024, 3, 29))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> BacktestWorld:
    return make_world(tmp_path_factory.mktemp("backtest"))


@pytest.fixture(scope="module")
def finished(world: BacktestWorld) -> list[Backtested]:
    """Every strategy over every class's VALIDATE, run once."""
    return backtest(world.context, BacktestQuestion())


@pytest.fixture(scope="module")
def rows(world: BacktestWorld, finished: list[Backtested]) -> dict[tuple[str, str], dict[str, Any]]:
    ids = {one.report.backtest_id for one in finished}
    stored = select(world.context.warehouse, f"SELECT * FROM `{RESULTS_TABLE}`")
    return {(row["asset_type"], row["strategy_name"]): row for row in stored if row["backtest_id"] in ids}


def named(finished: list[Backtested], asset_type: str, strategy: str) -> Backtested:
    (found,) = (one for one in finished if (one.report.asset_type, one.report.strategy_name) == (asset_type, strategy))
    return found


def trades_of(world: BacktestWorld, backtest_id: str) -> pl.DataFrame:
    sql = f"SELECT * FROM `{TRADES_TABLE}` WHERE backtest_id = @id ORDER BY trade_id"
    return pl.DataFrame(world.context.warehouse.query(sql, {"id": backtest_id}))


def counts(world: BacktestWorld) -> tuple[int, int]:
    (one,) = select(
        world.context.warehouse,
        f"SELECT (SELECT COUNT(*) FROM `{RESULTS_TABLE}`) AS a, (SELECT COUNT(*) FROM `{TRADES_TABLE}`) AS b",
    )
    return one["a"], one["b"]


def test_every_class_and_the_portfolio_have_a_row_for_every_strategy(rows: dict[tuple[str, str], Any]) -> None:
    assert set(rows) == {(name, strategy) for name in (*CLASSES, "all") for strategy in STRATEGIES}


def test_default_dates_are_the_classes_validate_and_the_portfolios_their_overlap(
    rows: dict[tuple[str, str], Any],
) -> None:
    spans = {
        name: (rows[name, "threshold"]["start_date"], rows[name, "threshold"]["end_date"]) for name in (*CLASSES, "all")
    }
    assert spans == {
        "stocks": (date(2024, 1, 2), date(2024, 5, 31)),
        "crypto": (date(2024, 1, 1), date(2024, 6, 15)),
        "all": (date(2024, 1, 2), date(2024, 5, 31)),
    }


def test_trades_add_up_to_the_change_of_equity(world: BacktestWorld, finished: list[Backtested]) -> None:
    for one in finished:
        trades = trades_of(world, one.report.backtest_id)
        assert trades.height == one.row["total_trades"]
        change = float(one.report.daily["equity_usd"][-1]) - 1_000_000
        assert float(trades["return_usd"].sum()) == pytest.approx(change, abs=1e-4)
        assert one.row["total_return_pct"] == pytest.approx(change / 1e4, abs=1e-9)


def test_a_trade_enters_at_the_next_open_after_its_signal(world: BacktestWorld, finished: list[Backtested]) -> None:
    found = trades_of(world, named(finished, "stocks", "high_confidence").report.backtest_id)
    assert found.height > 20
    assert set(found["entry_signal"]) <= {"STRONG_BUY", "STRONG_SELL"}
    assert set(found["entry_confidence"]) == {"HIGH"}
    assert set(found["exit_reason"]) <= {"TIME_LIMIT", "SIGNAL_REVERSE", "END_OF_DATA"}
    bars = pl.DataFrame(world.context.warehouse.query("SELECT * FROM `crypto_trading_data.stocks_daily_clean`"))
    bars = bars.sort("symbol", "datetime").with_columns(
        entry_date=pl.col("datetime").dt.date(), signal_at=pl.col("datetime").shift(1).over("symbol")
    )
    joined = found.join(bars.select("symbol", "entry_date", "open", "signal_at"), on=["symbol", "entry_date"]).join(
        world.record.select("symbol", pl.col("datetime").alias("signal_at"), "up_probability"),
        on=["symbol", "signal_at"],
    )
    assert joined.height == found.height
    assert (joined["entry_probability"] == joined["up_probability"]).all()
    side = joined["position_size"].sign()
    assert joined["entry_price"].to_numpy() == pytest.approx((joined["open"] * (1 + side * 5e-4)).to_numpy(), rel=1e-12)
    assert ((side > 0) == (joined["up_probability"] > 0.5)).all()


def test_win_rates_count_trades_that_earned_and_a_short_earns_when_prices_fall(
    world: BacktestWorld, finished: list[Backtested]
) -> None:
    for one in finished:
        trades = trades_of(world, one.report.backtest_id)
        won, lost = trades.filter(pl.col("return_usd") > 0), trades.filter(pl.col("return_usd") < 0)
        assert (one.row["winning_trades"], one.row["losing_trades"]) == (won.height, lost.height)
        assert one.row["win_rate"] == pytest.approx(100 * won.height / trades.height)
        assert one.row["avg_loss_pct"] == pytest.approx(-lost["return_pct"].mean())
        assert one.row["profit_factor"] == pytest.approx(won["return_usd"].sum() / -lost["return_usd"].sum())
        assert (trades["is_winner"] == (trades["return_usd"] > 0)).all()
        fallen = trades.filter((pl.col("position_size") < 0) & (pl.col("exit_price") < 0.99 * pl.col("entry_price")))
        assert fallen.height > 0
        assert fallen["is_winner"].all()


def test_the_rows_figures_are_those_of_the_logged_equity(
    world: BacktestWorld, rows: dict[tuple[str, str], Any]
) -> None:
    for name, periods in (("stocks", 252), ("crypto", 365), ("all", 365)):
        row = rows[name, "probability_weighted"]
        _, daily = BacktestLog(world.settings).report(row["backtest_id"])
        equity = np.concatenate(([1e6], daily["equity_usd"].to_numpy()))
        returns = equity[1:] / equity[:-1] - 1
        assert row["sharpe_ratio"] == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(periods), rel=1e-9)
        assert row["var_95_pct"] == pytest.approx(100 * np.quantile(returns, 0.05), rel=1e-9)
        assert row["max_drawdown_pct"] == pytest.approx(
            100 * (equity / np.maximum.accumulate(equity) - 1).min(), rel=1e-9
        )
        years = returns.size / periods
        assert row["annualized_return_pct"] == pytest.approx(100 * ((equity[-1] / 1e6) ** (1 / years) - 1), rel=1e-9)
        assert daily["cash_usd"].to_numpy() + daily["positions_usd"].to_numpy() == pytest.approx(equity[1:], rel=1e-12)


def test_the_portfolio_has_every_calendar_day_and_classes_their_own(finished: list[Backtested]) -> None:
    days = {name: named(finished, name, "threshold").report.daily["date"] for name in (*CLASSES, "all")}
    assert len(days["all"]) == (date(2024, 5, 31) - date(2024, 1, 2)).days + 1
    assert len(days["crypto"]) == (date(2024, 6, 15) - date(2024, 1, 1)).days + 1
    assert len(days["stocks"]) == 105


def test_the_truth_earns_more_than_shuffled_signals_do(finished: list[Backtested]) -> None:
    report = named(finished, "crypto", "probability_weighted").report
    assert report.null is not None
    assert (report.null.shuffles, report.null.p_value) == (20, pytest.approx(1 / 21))
    assert report.returns.total_return_pct > 0


def test_a_lie_loses(world: BacktestWorld) -> None:
    from flows.backtest_cells import cells_of, class_arena
    from flows.backtest_measure import measure_cells, plan
    from warehouse.backtests import read_inputs

    with world.context.warehouse.read() as read:
        inputs = read_inputs(read, world.settings, "crypto", "walk_forward", date(2024, 1, 1), None)
    assert inputs is not None
    turned = dataclasses.replace(
        inputs, predictions=inputs.predictions.with_columns(entry_probability=1 - pl.col("entry_probability"))
    )
    arena = class_arena(turned)
    (cell,) = cells_of("lie", world.settings.backtest.strategies["probability_weighted"], grid=False)
    (report,) = measure_cells(arena, world.settings, [plan(arena, world.settings, cell)], simulated=())
    assert report.returns.total_return_pct < -5
    assert report.null is not None
    assert report.null.p_value == 1


def test_the_same_inputs_are_the_same_backtest_and_leave_no_double(
    world: BacktestWorld, finished: list[Backtested]
) -> None:
    before = counts(world)
    again = backtest(world.context, BacktestQuestion())
    assert [one.report.backtest_id for one in again] == [one.report.backtest_id for one in finished]
    assert counts(world) == before
    differ = {"created_at"}
    for first, second in zip(finished, again, strict=True):
        assert {k: v for k, v in first.row.items() if k not in differ} == {
            k: v for k, v in second.row.items() if k not in differ
        }
    runs = BacktestLog(world.settings)._store
    keys = [run.data.tags["backtest_key"] for run in runs.client.search_runs([runs.experiment_id])]
    assert len(keys) == len(set(keys))


def test_other_dates_choices_or_costs_are_another_backtest(world: BacktestWorld, finished: list[Backtested]) -> None:
    known = named(finished, "stocks", "threshold").report.backtest_id
    assert backtest(world.context, MARCH)[0].report.backtest_id != known
    dearer = world.settings.backtest.stocks.model_copy(update={"fee_bps": 3.0})
    settings = world.settings.model_copy(
        update={"backtest": world.settings.backtest.model_copy(update={"stocks": dearer})}
    )
    context = dataclasses.replace(world.context, settings=settings)
    changed = backtest(context, BacktestQuestion(strategies=("threshold",), asset_types=("stocks",)))
    assert changed[0].report.backtest_id != known
    assert changed[0].row["total_return_pct"] < named(finished, "stocks", "threshold").row["total_return_pct"]


def test_an_outcome_that_became_known_changes_no_identity(world: BacktestWorld) -> None:
    from flows.backtest_cells import class_arena
    from warehouse.backtests import read_inputs

    with world.context.warehouse.read() as read:
        inputs = read_inputs(read, world.settings, "stocks", "walk_forward", date(2024, 1, 1), None)
    assert inputs is not None
    blind = dataclasses.replace(
        inputs, predictions=inputs.predictions.with_columns(actual_direction=pl.lit(None, dtype=pl.Int64))
    )
    moved = dataclasses.replace(
        inputs, predictions=inputs.predictions.with_columns(entry_probability=pl.col("entry_probability") * 0.999)
    )
    assert class_arena(blind).data_hash == class_arena(inputs).data_hash
    assert class_arena(moved).data_hash != class_arena(inputs).data_hash


def test_every_cell_of_a_grid_is_a_row_and_a_trial(world: BacktestWorld, finished: list[Backtested]) -> None:
    asked = BacktestQuestion(strategies=("high_confidence",), asset_types=("crypto",), grid=True)
    before = named(finished, "crypto", "high_confidence").row["trials"]
    first, second = backtest(world.context, asked), backtest(world.context, asked)
    names = [one.report.strategy_name for one in first]
    assert names[0] == "high_confidence"
    assert len(names) == len(set(names)) == 6  # 2 x 3 cells, of which one is the strategy itself
    assert "high_confidence levels=HIGH+MEDIUM time_limit_bars=3" in names
    # five new ones beside the three strategies; nothing is counted twice
    assert {one.row["trials"] for one in first} == {before + 5}
    assert {one.row["trials"] for one in second} == {before + 5}


def test_the_deflated_ratio_is_that_of_all_trials(world: BacktestWorld) -> None:
    asked = BacktestQuestion(strategies=("probability_weighted",), asset_types=("stocks",), grid=True)
    found = backtest(world.context, asked)
    stored = select(
        world.context.warehouse,
        f"SELECT parameters, sharpe_ratio FROM `{RESULTS_TABLE}` WHERE asset_type = 'stocks' ORDER BY created_at",
    )
    sharpes = {json.loads(row["parameters"])["trial"]: row["sharpe_ratio"] for row in stored}
    best = max(found, key=lambda one: one.row["sharpe_ratio"])
    shape = ReturnShape.of(best.report.daily["return_pct"].to_numpy() / 100)
    known = np.array([value for value in sharpes.values() if value is not None]) / math.sqrt(252)
    assert shape is not None
    assert best.row["trials"] == len(sharpes)
    assert best.row["deflated_sharpe_ratio"] == pytest.approx(
        deflated_sharpe_ratio(shape, trials=len(sharpes), variance=trial_variance(known, shape.observations)),
        rel=1e-6,
    )


def test_a_strategy_without_trades_is_a_result_with_zeros_and_no_ratios(
    world: BacktestWorld, finished: list[Backtested]
) -> None:
    strict = world.settings.backtest.strategies["high_confidence"].model_copy(
        update={"entry": "probability", "edge": 0.45, "full_edge": 0.5}
    )
    settings = world.settings.model_copy(
        update={"backtest": world.settings.backtest.model_copy(update={"strategies": {"never": strict}})}
    )
    (one,) = backtest(dataclasses.replace(world.context, settings=settings), BacktestQuestion(asset_types=("stocks",)))
    (row,) = select(
        world.context.warehouse,
        f"SELECT * FROM `{RESULTS_TABLE}` WHERE backtest_id = @id",
        {"id": one.report.backtest_id},
    )
    zeros = ("total_trades", "winning_trades", "losing_trades", "total_return_pct", "annualized_return_pct")
    zeros += (
        "volatility_pct",
        "max_drawdown_pct",
        "var_95_pct",
        "cvar_95_pct",
        "costs_pct",
        "max_position_size",
        "beta",
    )
    assert {name: row[name] for name in zeros} == dict.fromkeys(zeros, 0)
    undefined = ("win_rate", "profit_factor", "sharpe_ratio", "sortino_ratio", "calmar_ratio", "deflated_sharpe_ratio")
    assert {name: row[name] for name in undefined} == dict.fromkeys(undefined)
    assert "no signal: probabilities lie from" in row["notes"]
    assert trades_of(world, one.report.backtest_id).is_empty()


def test_json_columns_are_json_and_hold_simulations_and_choices(rows: dict[tuple[str, str], Any]) -> None:
    row = rows["crypto", "probability_weighted"]
    drawn, told = json.loads(row["monte_carlo"]), json.loads(row["parameters"])
    assert drawn["days"]["paths"] == 500
    assert drawn["days"]["max_drawdown_pct"]["p05"] <= drawn["days"]["max_drawdown_pct"]["p50"] <= 0
    assert 0 <= drawn["days"]["loss_probability"] <= 1
    assert drawn["null"]["shuffles"] == 20
    assert (
        drawn["intervals_95"]["sharpe_ratio"]["low"]
        < row["sharpe_ratio"]
        < drawn["intervals_95"]["sharpe_ratio"]["high"]
    )
    assert told["costs"]["crypto"]["fee_bps"] == 10
    assert told["choices"]["entry"] == "probability"
    assert "simulated bars: crypto" in row["notes"]


def test_the_comparison_ranks_each_class_and_the_portfolio_for_itself(
    world: BacktestWorld, rows: dict[tuple[str, str], Any]
) -> None:
    warehouse = world.context.warehouse
    insert(
        warehouse,
        RESULTS_TABLE,
        [{"backtest_id": "old", "asset_type": "all", "sharpe_ratio": 9.0, "notes": "legacy_v2"}],
    )
    ranked = select(warehouse, "SELECT * FROM `ml_models.v_backtest_comparison`")
    stored = select(warehouse, f"SELECT * FROM `{RESULTS_TABLE}` WHERE backtest_id != 'old'")
    assert {row["backtest_id"] for row in ranked} == {row["backtest_id"] for row in stored}
    for column, rank in (
        ("sharpe_ratio", "sharpe_rank"),
        ("total_return_pct", "return_rank"),
        ("win_rate", "winrate_rank"),
    ):
        for row in ranked:
            peers = [one[column] for one in stored if one["asset_type"] == row["asset_type"]]
            value = row[column]
            better = sum(one is not None and (value is None or one > value) for one in peers)
            assert row[rank] == 1 + better


def test_an_unknown_strategy_is_named_with_those_there_are(world: BacktestWorld) -> None:
    with pytest.raises(ConfigError, match=r"unknown strategy 'guess'\n.*high_confidence, threshold"):
        backtest(world.context, BacktestQuestion(strategies=("guess",)))


def test_dates_without_rows_are_named(world: BacktestWorld) -> None:
    with pytest.raises(BacktestError, match="no published predictions of stocks from 1999-01-01"):
        backtest(world.context, BacktestQuestion(start=date(1999, 1, 1), end=date(1999, 12, 31)))
    with pytest.raises(BacktestError, match="of etf from 2024-01-01"):
        backtest(world.context, BacktestQuestion(asset_types=("etf",)))
    with pytest.raises(BacktestError, match="no live predictions"):
        backtest(world.context, BacktestQuestion(asset_types=("stocks",), origin="live"))


def test_dates_in_the_wrong_order_are_named(world: BacktestWorld) -> None:
    with pytest.raises(ConfigError, match="--to 2024-01-01 lies before --from 2024-02-01"):
        backtest(world.context, BacktestQuestion(start=date(2024, 2, 1), end=date(2024, 1, 1)))


@pytest.fixture
def replayed_clock(world: BacktestWorld) -> Iterator[None]:
    """Stocks live on their last day, crypto twelve days later and three before its last bar."""
    days = {"stocks": "2024-05-31 20:15", "crypto": "2024-06-12 23:00"}
    rows = [{"asset_type": name, "clock": "end_of_data", "now_at": utc(now)} for name, now in days.items()]
    insert(world.context.warehouse, "tradehits.asset_settings", rows)
    yield
    name = "tradehits.asset_settings"
    world.context.warehouse.write([Write(name, rows=rows_of(name, []), mode="replace")])


def test_a_lookback_is_the_last_days_of_each_classes_own_clock(world: BacktestWorld, replayed_clock: None) -> None:
    found = backtest(world.context, BacktestQuestion(strategies=("threshold",), lookback_days=7))
    spans = {one.report.asset_type: (one.report.start, one.report.end) for one in found}
    assert spans == {  # the 27th of May was a holiday; the two weeks do not overlap, so there is no portfolio
        "stocks": (date(2024, 5, 28), date(2024, 5, 31)),
        "crypto": (date(2024, 6, 6), date(2024, 6, 12)),
    }


def test_a_lookback_ends_where_it_is_told_to(world: BacktestWorld) -> None:
    asked = BacktestQuestion(strategies=("threshold",), lookback_days=7, end=date(2024, 3, 28))
    spans = {(one.report.start, one.report.end) for one in backtest(world.context, asked)}
    assert spans == {(date(2024, 3, 22), date(2024, 3, 28))}


def test_two_beginnings_of_a_window_are_refused(world: BacktestWorld) -> None:
    with pytest.raises(ConfigError, match="--lookback-days and --from"):
        backtest(world.context, BacktestQuestion(start=date(2024, 1, 1), lookback_days=7))
    with pytest.raises(BacktestError, match=r"no published predictions of stocks(.|\n)*end_of_data"):
        backtest(world.context, BacktestQuestion(lookback_days=7))  # by the wall clock
    with pytest.raises(ConfigError, match="--lookback-days 0"):
        backtest(world.context, BacktestQuestion(lookback_days=0))


def test_confidence_levels_choose_the_strategies_that_have_some_and_are_the_grids_own_trial(
    world: BacktestWorld, finished: list[Backtested]
) -> None:
    both = BacktestQuestion(asset_types=("crypto",), levels=("MEDIUM", "HIGH"))
    (found,) = backtest(world.context, both)
    assert found.report.strategy_name == "high_confidence levels=HIGH+MEDIUM"
    assert found.row["total_trades"] > named(finished, "crypto", "high_confidence").row["total_trades"]
    assert set(trades_of(world, found.report.backtest_id)["entry_confidence"]) == {"HIGH", "MEDIUM"}
    grid = backtest(world.context, BacktestQuestion(("high_confidence",), ("crypto",), grid=True))
    (cell,) = (one for one in grid if one.report.strategy_name.endswith("levels=HIGH+MEDIUM time_limit_bars=1"))
    assert cell.report.trial == found.report.trial
    (own,) = backtest(world.context, dataclasses.replace(both, levels=("HIGH",)))
    assert own.report.backtest_id == named(finished, "crypto", "high_confidence").report.backtest_id


def test_confidence_levels_of_a_strategy_without_any_are_refused(world: BacktestWorld) -> None:
    with pytest.raises(ConfigError, match=r"do not apply to 'threshold'.*\n.*high_confidence"):
        backtest(world.context, BacktestQuestion(strategies=("threshold",), levels=("HIGH",)))


def test_dates_before_validate_are_told(world: BacktestWorld) -> None:
    found = backtest(
        world.context, BacktestQuestion(strategies=("threshold",), asset_types=("stocks",), start=date(2023, 11, 1))
    )
    assert "reaches into TEST" in found[0].row["notes"]


@pytest.fixture
def stray(world: BacktestWorld) -> Iterator[None]:
    """A published prediction of a day on which the symbol has no bar."""
    insert(
        world.context.warehouse,
        RECORD,
        [
            {
                "asset_type": "etf",
                "symbol": "GHOST",
                "datetime": utc("2024-03-02"),
                "up_probability": 0.7,
                "data_split": "VALIDATE",
            }
        ],
    )
    yield
    world.context.warehouse.write(
        [Write(RECORD, rows=rows_of(RECORD, []), mode="replace", where={"asset_type": "etf"})]
    )


def test_predictions_without_bars_are_named(world: BacktestWorld, stray: None) -> None:
    with pytest.raises(BacktestError, match="bars"):
        backtest(world.context, BacktestQuestion(asset_types=("etf",)))


@pytest.fixture
def live(world: BacktestWorld) -> Iterator[pl.DataFrame]:
    """March as it was predicted live: one probability moved by the ensemble, two by other models, one day missing.

    The first row's symbol spoke otherwise on its first two days (a fold's model) and on its last one (a fault).
    """
    march = world.record.filter(
        (pl.col("asset_type") == "stocks") & pl.col("datetime").is_between(utc("2024-03-01"), utc("2024-03-28"))
    )
    rows, last = [], (march["symbol"][0], utc("2024-03-28"))
    for number, row in enumerate(march.filter(pl.col("datetime") != utc("2024-03-05")).iter_rows(named=True)):
        p = row["up_probability"]
        ensemble = 0.70 if number == 0 else p
        rows.append(
            {
                **{
                    name: row[name]
                    for name in ("asset_type", "symbol", "datetime", "close", "growth_score", "model_version")
                },
                "xgb_up_probability": 0.123 if number == 1 or (row["symbol"], row["datetime"]) == last else p,
                "ensemble_up_probability": ensemble,
                "signal": "BUY" if ensemble >= 0.6 else "SELL" if ensemble <= 0.4 else "HOLD",
                "ensemble_confidence": "HIGH" if ensemble >= 0.65 or ensemble <= 0.35 else "LOW",
                "actual_direction": "UP" if row["actual_direction"] else "DOWN",
            }
        )
    insert(world.context.warehouse, LIVE, rows)
    yield march
    world.context.warehouse.write([Write(LIVE, rows=rows_of(LIVE, []), mode="replace")])


def test_live_predictions_are_replayed_and_their_differences_from_the_record_told(
    world: BacktestWorld, live: pl.DataFrame
) -> None:
    asked = BacktestQuestion(strategies=("threshold",), asset_types=("stocks",), origin="live")
    (one,) = backtest(world.context, asked)
    assert one.report.origin == "live"
    assert (one.report.start, one.report.end) == (date(2024, 3, 1), date(2024, 5, 31))
    assert one.row["total_trades"] > 0
    (found,) = compare_live(world.context, asked)
    days = live["datetime"].n_unique() - 1
    assert (found.live, found.recorded, found.common) == (5 * days,) * 3
    from_folds = 5 * (live.filter(pl.col("datetime") < utc("2024-03-15"))["datetime"].n_unique() - 1)
    assert (found.only_live, found.only_recorded) == (0, 0)
    assert (found.fold_model, found.same_model) == (from_folds, 5 * days - from_folds)
    assert (found.xgboost_differs, found.ensemble_differs) == (1, 3)
    assert found.signals_differ == 1
    assert found.known == 5 * days
    assert "BUY live at 0.700" in found.examples[0]
    text = shown([one], [found], "table")
    assert "1 with another XGBoost probability" in text
    assert json.loads(shown([one], [found], "json"))[0]["live"]["signals_differ"] == 1


def test_back_filled_predictions_are_no_live_ones(world: BacktestWorld, live: pl.DataFrame) -> None:
    warehouse, features = world.context.warehouse, "ml_models.walk_forward_features_v2"
    key, first = ("asset_type", "symbol", "datetime"), live["datetime"].min()
    closed = [
        {name: row[name] for name in key} | {"bar_known_at": row["datetime"], "label_known_at": utc("2024-03-20")}
        for row in live.iter_rows(named=True)
    ]
    insert(warehouse, features, closed)
    stored = [row for row in select(warehouse, f"SELECT * FROM `{LIVE}`") if row["datetime"] == first]
    late = [{**row, "created_at": utc("2024-03-20")} for row in stored]
    warehouse.write([Write(LIVE, rows=rows_of(LIVE, late), mode="merge")])
    asked = BacktestQuestion(strategies=("threshold",), asset_types=("stocks",), origin="live")
    try:
        (one,) = backtest(world.context, asked)
        (found,) = compare_live(world.context, asked)
        only_late = dataclasses.replace(asked, start=date(2024, 3, 1), end=date(2024, 3, 1))
        with pytest.raises(BacktestError, match=r"live predictions that were made in time(.|\n)*back-fills"):
            backtest(world.context, only_late)
    finally:
        warehouse.write([Write(features, rows=rows_of(features, []), mode="replace")])
    assert (len(late), found.backfills, found.only_recorded) == (5, 5, 0)
    assert found.live == 5 * (live["datetime"].n_unique() - 2)
    assert one.report.start == date(2024, 3, 4)
    assert "5 back-filled predictions left out" in one.row["notes"]
    assert "5 back-fills left out" in shown([one], [found], "table")


def test_live_and_record_give_the_same_trades_where_they_agree(world: BacktestWorld, live: pl.DataFrame) -> None:
    window = {
        "strategies": ("threshold",),
        "asset_types": ("stocks",),
        "start": date(2024, 3, 6),
        "end": date(2024, 3, 28),
    }
    (replayed,) = backtest(world.context, BacktestQuestion(**window, origin="live"))  # type: ignore[arg-type]
    (recorded,) = backtest(world.context, BacktestQuestion(**window))  # type: ignore[arg-type]
    assert recorded.row["total_trades"] > 0
    figures = [name for name, value in recorded.row.items() if isinstance(value, float)]
    assert {name: replayed.row[name] for name in figures if name != "deflated_sharpe_ratio"} == {
        name: recorded.row[name] for name in figures if name != "deflated_sharpe_ratio"
    }
    assert replayed.report.backtest_id != recorded.report.backtest_id


def test_the_command_prints_rows_as_json(world: BacktestWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.cli import app

    monkeypatch.setenv("TRADEHITS_HOME", str(world.settings.paths.home.parent))
    line = [
        "backtest",
        "--profile",
        "test",
        "--strategy",
        "high_confidence",
        "--from",
        "2024-01-01",
        "--to",
        "2025-12-31",
    ]
    done = CliRunner().invoke(app, [*line, "--format", "json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["asset_type"] for row in rows] == ["stocks", "crypto", "all"]
    assert {row["strategy_name"] for row in rows} == {"high_confidence"}
    assert rows[0]["monte_carlo"]["usage"]["turnover_per_year"] > 0
    assert rows[0]["data"] == "simulated"


def test_the_command_takes_the_parameters_of_a_scheduled_job(
    world: BacktestWorld, replayed_clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.cli import app

    monkeypatch.setenv("TRADEHITS_HOME", str(world.settings.paths.home.parent))
    line = ["backtest", "--profile", "test", "--lookback-days", "7", "--format", "json"]
    done = CliRunner().invoke(app, [*line, "--confidence-levels", "high,MEDIUM"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [(row["asset_type"], row["strategy_name"], row["start_date"]) for row in rows] == [
        ("stocks", "high_confidence levels=HIGH+MEDIUM", "2024-05-28"),
        ("crypto", "high_confidence levels=HIGH+MEDIUM", "2024-06-06"),
    ]
    assert rows[0]["parameters"]["choices"]["levels"] == ["HIGH", "MEDIUM"]
    wrong = CliRunner().invoke(app, [*line, "--confidence-levels", "HIGH,SURE"])
    assert isinstance(wrong.exception, ConfigError)
    assert "unknown confidence level 'SURE'" in str(wrong.exception)


def test_the_table_tells_figures_ids_and_what_to_open_next(finished: list[Backtested]) -> None:
    text = shown(finished, [], "table")
    for one in finished:
        assert f"{one.report.backtest_id}  {one.report.asset_type} {one.report.strategy_name}" in text
    assert "tradehits report tearsheet --backtest-id" in text
    assert max(len(line) for line in text.splitlines()) <= 150


def test_paths_of_the_home_are_not_told_in_rows(rows: dict[tuple[str, str], Any], world: BacktestWorld) -> None:
    home = str(Path(world.settings.paths.home))
    assert all(home not in str(value) for row in rows.values() for value in row.values())


def test_march_alone_has_its_own_window(world: BacktestWorld) -> None:
    found = backtest(world.context, dataclasses.replace(MARCH, asset_types=("crypto",)))
    report = found[0].report
    assert (report.start, report.end) == (date(2024, 3, 1), date(2024, 3, 29))
    assert report.end - report.start == timedelta(days=28)
