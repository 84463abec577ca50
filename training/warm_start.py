"""Warm start: each fold goes on from the booster of the fold before, and proves that it is no worse than exact mode.

The proof is part of every run. Some folds, the newest complete one among them (there the chain is longest), are fitted
exactly as well, and the Brier scores of both are compared on the same bars by a paired block bootstrap over dates. Only
when the one-sided bound of the excess stays below the margin does the warm record stand; else the run is done exactly.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from configs.settings import Settings
from market.comparison import paired_bootstrap
from training.dataset import Dataset
from training.fold_run import FoldRun
from training.folds import FINAL, FoldFit, FoldJob
from training.walk_forward import tested_positions

log = logging.getLogger("tradehits")

WARM = 10_000
"""Added to a fold's number where its warm result is kept, beside the exact one."""


@dataclass(frozen=True)
class WarmStartProof:
    """The paired test of a warm start against exact mode.

    Attributes:
        folds: Indices of the folds that were fitted both ways.
        rows: Bars with a known label in them.
        brier_excess: Mean of (warm - exact) squared errors over these rows; None when nothing could be compared.
        brier_excess_bound: One-sided upper bound of it; None when the rows give none.
        log_loss_excess: Mean of (warm - exact) log losses in nats, for information.
        margin: What the bound must not exceed.
        passed: Whether the warm record stands.
    """

    folds: tuple[int, ...]
    rows: int
    brier_excess: float | None
    brier_excess_bound: float | None
    log_loss_excess: float | None
    margin: float
    passed: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain fields, as tags and artifacts show them."""
        return asdict(self)


@dataclass(frozen=True)
class WarmFits:
    """What a warm start gave.

    Attributes:
        fits: Results of the chain by job number; to be used only if the proof passed.
        exact: Results of exact mode known by now: the first fold, where the chain begins, and the checked ones.
        proof: The paired test.
    """

    fits: dict[int, FoldFit]
    exact: dict[int, FoldFit]
    proof: WarmStartProof


def fit_warm(dataset: Dataset, settings: Settings, run: FoldRun, jobs: Sequence[FoldJob]) -> WarmFits:
    """Fit the chain of folds and test it.

    Args:
        dataset: The rows.
        settings: Sections `training` and `evaluation` (bootstrap).
        run: Does the jobs.
        jobs: Every fold in time order, then the final model.
    """
    first, checked = jobs[0], folds_to_check(dataset, jobs, settings.training.warm_start.check_folds)
    chain = [_warm_job(dataset, settings, jobs, job) for job in jobs[1:]]
    run.expect([first, *chain, *checked])
    exact = run.fit([first])
    fits = dict(exact)
    model = exact[first.number].model
    for job in chain:
        fits |= run.fit([replace(job, previous=model)], kept_as=WARM)
        model = fits[job.number].model
    exact |= run.fit(checked)
    proof = compare(dataset, settings, checked, fits, exact)
    level = logging.INFO if proof.passed else logging.WARNING
    log.log(level, "%s: warm start %s", dataset.asset_type, _sentence(proof))
    return WarmFits(fits, exact, proof)


def folds_to_check(dataset: Dataset, jobs: Sequence[FoldJob], count: int) -> list[FoldJob]:
    """Evenly spaced folds after the first, whose test window is over; the newest of them is always among them."""
    newest = dataset.datetime.max()
    later = [job for job in jobs[1:] if job.fold is not None]
    over = [job for job in later if np.datetime64(job.fold.test_end.replace(tzinfo=None), "us") <= newest]  # type: ignore[union-attr]
    candidates = over or later
    chosen = np.linspace(0, len(candidates), count + 1)[1:].astype(int) - 1
    return [candidates[position] for position in np.unique(chosen[chosen >= 0])]


def compare(
    dataset: Dataset,
    settings: Settings,
    checked: Sequence[FoldJob],
    warm: dict[int, FoldFit],
    exact: dict[int, FoldFit],
) -> WarmStartProof:
    """The paired test on the matured bars of folds that were fitted both ways."""
    rows = [tested_positions(dataset, job.fold) for job in checked]
    positions = np.concatenate(rows) if rows else np.empty(0, dtype=np.intp)
    actual = dataset.label[positions].astype(np.float64)
    known = ~np.isnan(actual)
    section = settings.training.warm_start
    folds = tuple(job.number for job in checked)
    if not known.any():
        return WarmStartProof(folds, 0, None, None, None, section.margin, passed=False)
    losses = []
    for fits in (warm, exact):
        probability = np.concatenate([fits[job.number].probability for job in checked])[known]
        hit = np.where(actual[known] == 1, probability, 1 - probability)
        losses.append((np.square(1 - hit), -np.log(hit)))
    brier, log_loss = (first - second for first, second in zip(*losses, strict=True))
    bound = paired_bootstrap(
        brier,
        dataset.datetime[positions][known].astype("datetime64[D]"),
        samples=settings.evaluation.bootstrap_samples,
        block_days=settings.evaluation.bootstrap_block_days,
        seed=settings.evaluation.bootstrap_seed,
        level=2 * section.level - 1,
    ).high
    return WarmStartProof(
        folds=folds,
        rows=int(known.sum()),
        brier_excess=float(brier.mean()),
        brier_excess_bound=bound if np.isfinite(bound) else None,
        log_loss_excess=float(log_loss.mean()),
        margin=section.margin,
        passed=bool(bound <= section.margin),
    )


def _warm_job(dataset: Dataset, settings: Settings, jobs: Sequence[FoldJob], job: FoldJob) -> FoldJob:
    """The job on the newest `windows` test-window lengths before its fold; of the final model, before the last bar."""
    folds = [one.fold for one in jobs if one.fold is not None]
    fold = folds[-1] if job.fold is None else job.fold
    back = settings.training.warm_start.windows - (job.number == FINAL)
    start = fold.test_start - back * (fold.test_end - fold.test_start)
    since = np.datetime64(start.replace(tzinfo=None), "us")
    return replace(job, since=since, rows=max(1, job.rows - int(np.searchsorted(dataset.datetime, since))))


def _sentence(proof: WarmStartProof) -> str:
    if proof.brier_excess is None or proof.brier_excess_bound is None:
        return f"cannot be compared with exact mode on {proof.rows} bars with a known label; fitting exactly"
    found = (
        f"Brier score {proof.brier_excess:+.6f} against exact mode on {proof.rows} bars, bound "
        f"{proof.brier_excess_bound:+.6f}, margin {proof.margin:.6f}"
    )
    return f"stands: {found}" if proof.passed else f"is not proved to be as good ({found}); fitting exactly"
