"""Benchmark `detector_delay`: how late decay is seen, and how often it is seen where there is none; river's as peers.

Every detector watches the same days: 250 of reference, then the model's own. A class month has 21 days (stocks and
ETFs, five a week) or 30 (crypto); a third of the series are crypto. The table counts alarms that begin, per 100 months.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from bench.detector_worlds import REFERENCE, WORLDS, Days, Decay, World, simulate
from bench.measure import Comparison, best_of, growth_exponent, measured
from configs.settings import Settings, load_settings
from market.performance_estimation import confidence_falls
from market.sequential import watch

NAME = "detector_delay"
BASELINE = 250
GOOD, BAD = 20, 60
CLEAN_DAYS = 250
SERIES = {"small": (20, 30, 2), "full": (100, 300, 8)}
"""Seeds of the decay; series without decay; series of either kind for detectors that read every prediction."""

TIMED = {"small": (4, 16), "full": (20, 80)}

Bools = npt.NDArray[np.bool_]
Detector = Callable[[Days], Bools]
"""Sums of days -> whether an alarm stands after each day after the baseline."""


@dataclass(frozen=True)
class Verdict:
    """One detector in one world; `delays` in days from the first bad one, infinite where nothing was seen in time."""

    detector: str
    delays: npt.NDArray[np.float64]
    unsure_delays: npt.NDArray[np.float64]
    false_alarms_per_100_months: float
    months: float


def run(size: str) -> Iterator[Comparison]:
    """Print the table of every world, then time our tests of one class against ADWIN on the same hits."""
    console = Console(width=150)
    settings = load_settings("test")
    for world in WORLDS:
        console.print(as_table(world, verdicts(world, settings, size)))
    smaller, larger = TIMED[size]
    ours, grown = measured(ours_seconds, smaller), measured(ours_seconds, larger)
    theirs = measured(river_seconds, smaller)
    growth = growth_exponent(ours, grown, larger / smaller)
    shape = f"{smaller} series of {BASELINE + BAD} days x {REFERENCE.rows}"
    note = "ours: four detectors from sums a day; ADWIN: hits alone, one by one"
    yield Comparison(NAME, f"{size}: {shape}", ours, "river ADWIN", theirs, growth, note)


def verdicts(world: World, settings: Settings, size: str) -> list[Verdict]:
    """What each detector says about a world; together, with the rule of seven days and without it."""
    seeds, clean, slow = SERIES[size]
    found = _judged(detectors(settings), world, seeds, clean if world == REFERENCE else clean // 2)
    peers = _judged(river_detectors(), world, slow, slow) if world in (REFERENCE, WORLDS[3]) else {}
    together = {"all but the 7-day rule": list(found.values())[1:], "all of ours": list(found.values())}
    parts = found | {name: [_any(column) for column in zip(*ours, strict=True)] for name, ours in together.items()}
    return [_verdict(name, *raised) for name, raised in (parts | peers).items()]


def detectors(settings: Settings) -> dict[str, Detector]:
    """The rule of the last 7 days, the sequential tests and the estimate, as they are configured."""
    rule = settings.detectors
    limit = rule.days_between_false_alarms
    return {
        "rolling_7d_accuracy": partial(seven_day_rule, settings),
        "accuracy_sequential": lambda days: watch(days.hits, BASELINE, threshold=limit, worse="low").raised,
        "selection_sequential": lambda days: watch(days.picks, BASELINE, threshold=limit, worse="low").raised,
        "brier_sequential": lambda days: watch(days.misses, BASELINE, threshold=limit, worse="high").raised,
        "estimated_accuracy": lambda days: (
            confidence_falls(
                days.confidences, BASELINE, deviations=rule.estimate.deviations, edge_loss=rule.estimate.edge_loss
            ).raised
        ),
    }


def seven_day_rule(settings: Settings, days: Days) -> Bools:
    """The user's rule, with its smallest counts: 7 calendar days below a share of the 30 before them."""
    rule = settings.monitoring
    raised = np.zeros(days.hits.rows.shape, dtype=np.bool_)
    for dates, of_kind in kinds(len(raised), raised.shape[1]):
        rows, right = days.hits.rows[of_kind], days.hits.total[of_kind]
        recent, before = _window(dates, 6, 0), _window(dates, 36, 7)
        n, base_n = _sums(rows, recent), _sums(rows, before)
        kept = np.divide(_sums(right, recent) / n * base_n, _sums(right, before), where=base_n > 0, out=np.ones_like(n))
        spans = (recent[1] - recent[0] >= rule.min_recent_days) & (before[1] - before[0] >= rule.min_baseline_days)
        for severity, ratio in (("warning", rule.drift_warning_ratio), ("critical", rule.drift_critical_ratio)):
            enough = n >= getattr(rule.min_recent_predictions, severity)
            enough &= base_n >= getattr(rule.min_baseline_predictions, severity)
            raised[of_kind] |= spans & enough & (kept < ratio)
    return raised[:, BASELINE:]


def kinds(series: int, days: int) -> Iterator[tuple[npt.NDArray[np.int64], slice]]:
    """Calendar days of the sessions of stocks and ETFs, and of crypto, with the series that have them."""
    sessions = np.arange(days) // 5 * 7 + np.arange(days) % 5
    two_thirds = series * 2 // 3
    yield sessions, slice(0, two_thirds)
    yield np.arange(days), slice(two_thirds, series)


def _window(dates: npt.NDArray[np.int64], first: int, last: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Positions of the days between `first` and `last` calendar days before each day; the end is exclusive."""
    return np.searchsorted(dates, dates - first), np.searchsorted(dates, dates - last, side="right")


def _sums(values: npt.NDArray[np.float64], window: tuple[npt.NDArray[np.intp], ...]) -> npt.NDArray[np.float64]:
    until = np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
    total: npt.NDArray[np.float64] = until[:, window[1]] - until[:, window[0]]
    return total


def river_detectors() -> dict[str, Detector]:
    """river's, with their own settings; they read hits in the order of days, and are told nothing of the baseline."""
    from river import drift

    return {
        "river ADWIN, by prediction": partial(by_prediction, drift.ADWIN),
        "river PageHinkley, by prediction": partial(by_prediction, partial(drift.PageHinkley, mode="down")),
        "river ADWIN, by day": partial(by_day, drift.ADWIN),
    }


def by_prediction(make: Callable[[], object], days: Days) -> Bools:
    """Feed hits one by one; of a day the right ones come first, which is no matter to detectors of longer changes."""
    seen = np.zeros(days.hits.rows.shape, dtype=np.bool_)
    order = np.random.default_rng(0)
    for series, right_of in enumerate(days.hits.total):
        detector = make()
        for day, right in enumerate(right_of):
            rows = int(days.hits.rows[series, day])
            is_seen = False
            for hit in order.permutation(np.arange(rows) < right).astype(float).tolist():
                detector.update(hit)  # type: ignore[attr-defined]
                is_seen = is_seen or detector.drift_detected  # type: ignore[attr-defined]
            seen[series, day] = is_seen
    return seen[:, BASELINE:]


def by_day(make: Callable[[], object], days: Days) -> Bools:
    """Feed the hit rates of days."""
    seen = np.zeros(days.hits.rows.shape, dtype=np.bool_)
    for series, rates in enumerate(days.hits.total / days.hits.rows):
        detector = make()
        for day, rate in enumerate(rates.tolist()):
            detector.update(rate)  # type: ignore[attr-defined]
            seen[series, day] = detector.drift_detected  # type: ignore[attr-defined]
    return seen[:, BASELINE:]


def _any(parts: Sequence[Bools]) -> Bools:
    raised: Bools = np.logical_or.reduce(parts)
    return raised


def _judged(which: dict[str, Detector], world: World, seeds: int, clean_series: int) -> dict[str, list[Bools]]:
    """Alarms of each detector where the model goes wrong, where it becomes unsure, and where it stays as it was."""
    length = BASELINE + GOOD + BAD
    decays: tuple[Decay, Decay] = ("wrong", "unsure")
    worlds = [simulate(world, seeds, length, seed=1, decay=one, bad_from=BASELINE + GOOD) for one in decays]
    worlds.append(simulate(world, clean_series, BASELINE + CLEAN_DAYS, seed=2))
    return {name: [one(days) for days in worlds] for name, one in which.items()}


def _verdict(name: str, wrong: Bools, unsure: Bools, clean: Bools) -> Verdict:
    series, days = clean.shape[0], BASELINE + clean.shape[1]
    months = sum(
        (part.stop - part.start) * clean.shape[1] / (21 if dates[-1] > days else 30)
        for dates, part in kinds(series, days)
    )
    return Verdict(name, delays(wrong), delays(unsure), 100 * begins(clean) / months, months)


def delays(raised: Bools) -> npt.NDArray[np.float64]:
    """Bad days until an alarm, the first one included; infinite where none came in time."""
    bad = raised[:, GOOD:]
    return np.where(bad.any(axis=1), bad.argmax(axis=1) + 1.0, math.inf)


def begins(raised: Bools) -> int:
    """Alarms that begin."""
    return int((raised & ~np.pad(raised, ((0, 0), (1, 0)))[:, :-1]).sum())


def as_table(world: World, found: list[Verdict]) -> Table:
    """Delay against false alarms."""
    table = Table(title=f"{world.name}: accuracy 60% -> 50%, {world.rows} predictions a day")
    table.add_column("detector")
    titles = ("seen in 10 days", "median delay", "95% delay", "seen in 10 days (model unsure)")
    for title in (*titles, "false alarms / 100 months", "months"):
        table.add_column(title, justify="right")
    for one in found:
        middle, late = np.quantile(one.delays, [0.5, 0.95], method="higher")
        table.add_row(
            one.detector,
            f"{100 * (one.delays <= 10).mean():.0f}%",
            _days(middle),
            _days(late),
            f"{100 * (one.unsure_delays <= 10).mean():.0f}%",
            f"{one.false_alarms_per_100_months:.2f}",
            f"{one.months:,.0f}",
        )
    return table


def _days(value: float) -> str:
    return f"{value:.0f} days" if math.isfinite(value) else f"over {BAD}"


def ours_seconds(series: int) -> float:
    """All four, from sums."""
    days = simulate(REFERENCE, series, BASELINE + BAD, seed=3)
    all_of_ours = list(detectors(load_settings("test")).values())[1:]
    return best_of(2, lambda: [one(days) for one in all_of_ours])


def river_seconds(series: int) -> float:
    """ADWIN, hit by hit."""
    adwin = river_detectors()["river ADWIN, by prediction"]
    days = simulate(REFERENCE, series, BASELINE + BAD, seed=3)
    return best_of(1, lambda: adwin(days))
