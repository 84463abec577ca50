"""A model card as one self-contained HTML page: no script, no address of another host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from training.card_cells import Cell, count, number, raw_table, table

if TYPE_CHECKING:
    from training.card import CardFacts

TOP_FEATURES = 20
_SPLITS = ("train", "test", "validate")
_LEVELS = ("high", "medium", "low")
_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; }
body { max-width: 960px; margin: 0 auto; padding: 24px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 32px 0 8px; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; width: 100%; margin: 8px 0; font-size: 14px; }
th, td { text-align: right; padding: 4px 8px; border-bottom: 1px solid #eee; vertical-align: top; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
th:first-child, td:first-child { white-space: nowrap; }
th { color: #555; font-weight: 600; } td { overflow-wrap: anywhere; }
.badge { display: inline-block; padding: 2px 10px; border-radius: 10px; font-size: 13px; }
.badge { color: #fff; background: #0072b2; }
.simulated, .warning { background: #b35900; } .failed { background: #b2182b; } .passed { background: #00734f; }
.waived { background: #6b4f9e; }
.muted { color: #666; } .bar { background: #0072b2; height: 12px; display: inline-block; vertical-align: middle; }
.down { background: #d55e00; }
img { max-width: 100%; } code { font-size: 13px; background: #f4f4f4; padding: 1px 4px; overflow-wrap: anywhere; }
pre { background: #f4f4f4; padding: 10px; overflow-x: auto; font-size: 13px; } li { margin: 4px 0; }
details { margin: 8px 0; } summary { cursor: pointer; }
"""


def render_card(facts: CardFacts) -> str:
    """The page, UTF-8; every text from outside is escaped."""
    parts = [
        *_head(facts),
        *_section("Results on bars the models had not seen", _results(facts)),
        *_section("Confidence", _confidence(facts)),
        *_section("Calibration", _calibration(facts)),
        *_section("What it looks at", _contributions(facts)),
        *_section("Data", _data(facts)),
        *_section("Folds", _folds(facts)),
        *_section("Audit", _audit(facts)),
        *_section("Against the champion", _decision(facts)),
        *_section("Known limits", _limits(facts)),
        *_section("How to reproduce it", _reproduce(facts)),
    ]
    body = "\n".join(parts)
    title = escape(f"Model card: {facts.model_version}")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _head(facts: CardFacts) -> Iterator[str]:
    info = facts.info
    style, kind = ("badge simulated", "SIMULATED bars") if facts.is_simulated else ("badge", "real bars")
    yield f"<h1>{escape(facts.model_version)}</h1>"
    yield (
        f'<p><span class="{style}">{kind}</span> <span class="muted">P(next bar closes higher), '
        f"{escape(info.asset_type)}; trained through {info.trained_through:%Y-%m-%d %H:%M} UTC on "
        f"{info.trained_rows:,} rows, {info.trees} trees; made {info.created_at:%Y-%m-%d %H:%M} UTC by run "
        f"<code>{escape(info.run_id)}</code></span></p>"
    )


def _results(facts: CardFacts) -> Iterator[str]:
    metrics = facts.metrics
    header = ("split", "rows", "accuracy", "95% interval", "base rate", "balanced", "AUC", "Brier", "log-loss")
    rows = [
        (
            "TRAIN (burn-in)" if split == "train" else split.upper(),
            count(metrics.get(f"{split}_rows")),
            *_accuracy(metrics, split),
            number(metrics.get(f"{split}_balanced_accuracy"), 1),
            number(metrics.get(f"{split}_auc"), 3),
            number(metrics.get(f"{split}_brier"), 4),
            number(metrics.get(f"{split}_log_loss"), 4),
        )
        for split in _SPLITS
        if f"{split}_rows" in metrics
    ]
    yield table(header, rows)
    yield (
        '<p class="muted">Percent; the interval is a block bootstrap by date. The base rate is what always guessing '
        "the more frequent direction of the same rows scores: accuracy means something only above it.</p>"
    )
    yield from _picture(facts, "accuracy_by_month", "Accuracy by month beside its base rate")


def _confidence(facts: CardFacts) -> Iterator[str]:
    metrics, thresholds = facts.metrics, facts.info.thresholds
    rows = [
        (
            f"{split.upper()} {level.upper()}",
            count(metrics.get(f"{split}_rows_{level}")),
            *_accuracy(metrics, split, level),
        )
        for split in ("test", "validate")
        for level in _LEVELS
        if metrics.get(f"{split}_rows_{level}")
    ]
    yield table(("level", "rows", "accuracy", "95% interval", "base rate"), rows)
    signals = ", ".join(
        f"{split.upper()}: {count(metrics.get(f'{split}_signals_buy'))} BUY, "
        f"{count(metrics.get(f'{split}_signals_sell'))} SELL, {count(metrics.get(f'{split}_signals_hold'))} HOLD"
        for split in ("test", "validate")
        if f"{split}_signals_hold" in metrics
    )
    yield (
        f"<p>BUY from {thresholds.buy:.3f}, SELL up to {thresholds.sell:.3f}, HIGH from {thresholds.high:.3f}, MEDIUM "
        f"from {thresholds.medium:.3f} (mirrored around 1/2). {escape(signals)}.</p>"
    )


def _calibration(facts: CardFacts) -> Iterator[str]:
    metrics, method = facts.metrics, escape(facts.info.calibration.method)
    errors = ", ".join(
        f"{split.upper()} {metrics[f'{split}_ece']:.4f} "
        f"(chance alone: {number(metrics.get(f'{split}_ece_by_chance'), 4)})"
        for split in ("test", "validate")
        if f"{split}_ece" in metrics
    )
    yield f"<p>Method: {method}. Expected calibration error: {errors or 'not measured'}.</p>"
    yield from _picture(facts, "calibration", "Reliability: share of bars that closed higher by predicted probability")


def _contributions(facts: CardFacts) -> Iterator[str]:
    found = facts.contributions
    if found is None:
        yield '<p class="muted">No contributions were kept with this run.</p>'
        return
    features = found["features"][:TOP_FEATURES]
    largest = max((one["mean_absolute"] for one in features), default=0.0) or 1.0
    rows = []
    for one in features:
        direction = one["direction"]
        side = "down" if direction is not None and direction < 0 else ""
        width = 260 * one["mean_absolute"] / largest
        bar = f'<span class="bar {side}" style="width:{width:.0f}px"></span>'
        rows.append(
            (
                escape(one["feature"]),
                f"{one['mean_absolute']:.4f}",
                "" if one["share"] is None else f"{one['share']:.0%}",
                "" if direction is None else f"{direction:+.2f}",
                bar,
            )
        )
    yield raw_table(("feature", "mean |contribution|", "share", "direction", ""), rows, text=(4,))
    yield (
        f'<p class="muted">XGBoost\'s own contributions (TreeSHAP) to the log-odds, before calibration, averaged over '
        f"{found['rows']:,} bars after TRAIN. Direction: rank correlation of value and contribution; above 0 (blue) "
        "higher values speak for UP. The registered model was refit on these bars too: this says what it looks at, not "
        "how well it does.</p>"
    )


def _data(facts: CardFacts) -> Iterator[str]:
    data = facts.data
    rows = [
        ("bars", "simulated" if facts.is_simulated else "real"),
        ("sources", ", ".join(facts.sources)),
        ("feature service", facts.info.feature_service),
        ("indicator variant", facts.info.indicator_variant),
        *((name.replace("_", " "), str(value)) for name, value in data.items() if name != "content_hash"),
        ("content hash (SHA-256)", facts.info.data_hash),
        ("feature SQL hash (SHA-256)", facts.info.feature_sql_hash),
        ("features", ", ".join(facts.info.features)),
    ]
    yield table(("", ""), rows, text=(1,))


def _folds(facts: CardFacts) -> Iterator[str]:
    header = (
        *("fold", "trained before", "tested from", "until", "newest label seen"),
        *("train rows", "tested", "trees", "calibrated"),
    )
    rows = [
        (
            str(fold["fold"]),
            str(fold["train_end"])[:10],
            str(fold["test_start"])[:10],
            str(fold["test_end"])[:10],
            str(fold["trained_through"])[:16].replace("T", " "),
            count(fold.get("train_rows")),
            count(fold.get("tested_rows")),
            count(fold.get("trees")),
            "yes" if fold.get("calibrated") else "no",
        )
        for fold in facts.folds
    ]
    info = facts.info.folds
    yield (
        f"<p>{len(rows)} folds, {escape(info.retrain)} retraining, {escape(info.window)} window, embargo "
        f"{info.embargo_days} days; TRAIN until {info.train_end}, TEST until {info.test_end}, VALIDATE after. Every "
        "prediction was made by a model whose newest label was known before the fold began.</p>"
    )
    yield f"<details><summary>All folds</summary>{table(header, rows)}</details>"


def _audit(facts: CardFacts) -> Iterator[str]:
    statuses = [str(check["status"]) for check in facts.checks]
    badges = " ".join(
        f'<span class="badge {status}">{statuses.count(status)} {status}</span>' for status in dict.fromkeys(statuses)
    )
    yield f"<p>{badges or 'No check was kept with this run.'}</p>"
    standing = [check for check in facts.checks if check["status"] != "passed"]
    if standing:
        yield _checks(standing)
    passed = [check for check in facts.checks if check["status"] == "passed"]
    if passed:
        yield f"<details><summary>{len(passed)} checks passed</summary>{_checks(passed)}</details>"


def _checks(checks: Sequence[Mapping[str, Any]]) -> str:
    rows = [(c["status"], c["check"], c["subject"], c["detail"]) for c in checks]
    return table(("status", "check", "subject", "evidence"), rows, text=(1, 2, 3))


def _decision(facts: CardFacts) -> Iterator[str]:
    decision = facts.decision
    if decision is None:
        yield '<p class="muted">No comparison was kept with this run.</p>'
        return
    if decision["champion"] is None:
        yield "<p>The first model of its class that passed the audit; there was no champion to compare it with.</p>"
    else:
        verdict = "keeps every rule" if decision["promote_automatically"] else "does not keep every rule"
        yield f"<p>Compared with {escape(str(decision['champion']))} at registration, it {verdict}.</p>"
    rows = [("holds" if rule["passed"] else "fails", rule["name"], rule["detail"]) for rule in decision["rules"]]
    yield table(("", "rule", "evidence"), rows, text=(1, 2))


def _limits(facts: CardFacts) -> Iterator[str]:
    yield "<ul>" + "".join(f"<li>{escape(limit)}</li>" for limit in facts.limits) + "</ul>"


def _reproduce(facts: CardFacts) -> Iterator[str]:
    info, tags = facts.info, facts.tags
    profile = tags.get("profile") or "sample"
    dirty = " (with uncommitted changes: this commit alone will not do)" if tags.get("git_dirty") == "true" else ""
    yield (
        f"<p>Commit <code>{escape(info.git_commit)}</code>{dirty}, seed {info.seed}. The same data gives the same "
        "content hash, and the same hash, parameters, seed and versions give the same predictions, bit for bit.</p>"
    )
    yield (
        f"<pre>tradehits train --profile {escape(profile)} --asset-type {info.asset_type}\n"
        "# what was known when it was made, as a study that is not registered:\n"
        f"tradehits train --profile {escape(profile)} --asset-type {info.asset_type} --as-of "
        f"{info.created_at:%Y-%m-%dT%H:%M:%SZ}</pre>"
    )
    versions = [(name, tags[name]) for name in ("python", "tradehits", "xgboost", "feast", "duckdb") if name in tags]
    parameters = [*versions, *sorted(facts.parameters.items())]
    yield f"<details><summary>Versions and parameters</summary>{table(('', ''), parameters, text=(1,))}</details>"


def _section(title: str, content: Iterator[str]) -> Iterator[str]:
    yield f"<h2>{escape(title)}</h2>"
    yield from content


def _picture(facts: CardFacts, name: str, caption: str) -> Iterator[str]:
    address = facts.pictures.get(name)
    if address is None:
        yield f'<p class="muted">No figure of {escape(caption.lower())} was kept with this run.</p>'
    else:
        yield f'<img alt="{escape(caption)}" src="{address}">'


def _accuracy(metrics: Mapping[str, float], split: str, level: str = "") -> tuple[Cell, Cell, Cell]:
    """Accuracy, interval and base rate: none of them stands alone."""
    tail = f"_{level}" if level else ""
    accuracy, base = metrics.get(f"{split}_accuracy{tail}"), metrics.get(f"{split}_base_rate{tail}")
    low, high = metrics.get(f"{split}_accuracy{tail}_ci_low"), metrics.get(f"{split}_accuracy{tail}_ci_high")
    if accuracy is None or base is None or low is None or high is None:
        return "", "", ""
    return f"{accuracy:.1f}", f"{low:.1f}–{high:.1f}", f"{base:.1f}"
