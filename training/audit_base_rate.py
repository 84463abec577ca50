"""No accuracy without its base rate and interval: a rule over names, so that every surface can be held to it.

An accuracy is a name with the word `accuracy` in it. Beside `test_accuracy_high` must stand `test_base_rate_high`, and
an interval: `test_accuracy_high_ci_low` and `…_ci_high`, `…_ci_95`, `…_lower_95`, or `test_standard_error_high`. Fields
of a mapping or columns of a table follow the same rule.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from training.checks import CheckResult

ACCURACY, BASE_RATE = "accuracy", "base_rate"
_BOUNDS = ("_ci_low", "_ci_high")
_INTERVALS = (*_BOUNDS, "_ci_95", "_lower_95")
_NOT_AN_ACCURACY = ("balanced_accuracy",)
"""Its base rate is 50 by construction."""


def missing_companions(names: Collection[str]) -> dict[str, list[str]]:
    """What each accuracy among some names lacks.

    Args:
        names: Metrics of a run, columns of a table, or keys of a mapping.

    Returns:
        Accuracy name → the missing ones of its base rate and its interval; empty when nothing is missing.
    """
    found = set(names)
    return {name: missing for name in sorted(found) if _is_accuracy(name) and (missing := _missing(name, found))}


def base_rate_check(metrics: Iterable[str]) -> list[CheckResult]:
    """The metrics that a training run logs show no accuracy alone."""
    names = sorted(set(metrics))
    missing = missing_companions(names)
    accuracies = sum(_is_accuracy(name) for name in names)
    if not missing:
        told = f"{accuracies} accuracies among {len(names)} metrics, each with base rate and interval"
        return [CheckResult(BASE_RATE, "passed", "metrics of the run", told)]
    return [
        CheckResult(
            BASE_RATE,
            "failed",
            f"metric {name}",
            f"stands without {' and '.join(wanted)}",
            "log base rate and interval of the same rows beside it",
        )
        for name, wanted in missing.items()
    ]


def _is_accuracy(name: str) -> bool:
    return ACCURACY in name and not name.endswith(_INTERVALS) and not any(other in name for other in _NOT_AN_ACCURACY)


def _missing(name: str, found: set[str]) -> list[str]:
    base = name.replace(ACCURACY, BASE_RATE)
    missing = [] if {base, f"{base}_pct"} & found else [base]
    has_interval = (
        all(f"{name}{bound}" in found for bound in _BOUNDS)
        or any(f"{name}{suffix}" in found for suffix in _INTERVALS[len(_BOUNDS) :])
        or name.replace(ACCURACY, "standard_error") in found
    )
    return missing if has_interval else [*missing, f"{name}_ci_low and {name}_ci_high"]
