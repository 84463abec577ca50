"""What the API says in words: why there is no signal, and how good HIGH confidence has been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from market.assets import AssetType
from serving.snapshot import ChampionInfo, RecordSummary, Snapshot
from serving.snapshot_columns import Newest

ACTIONS = ("BUY", "SELL")


def signal_note(
    snapshot: Snapshot, newest: Mapping[AssetType, Newest], wanted: Mapping[str, str], count: int
) -> str | None:
    """Says that the newest bars give no BUY or SELL of those that were asked for, or that nothing else was found.

    Args:
        snapshot: Gives rows and thresholds.
        newest: Newest rows of the dates and symbols that were asked about, by class.
        wanted: Texts that were asked for.
        count: Rows that the answer holds.

    Returns:
        None when there is such a signal and the answer holds rows.
    """
    level, asked = wanted.get("confidence_level"), wanted.get("signal")
    actions = [asked] if asked in ACTIONS else ACTIONS
    signals = [{"signal": action} | ({} if level is None else {"confidence_level": level}) for action in actions]
    words = " or ".join(actions) + ("" if level is None else f" of {level} confidence")
    note = quiet_note(snapshot, newest, signals, words)
    return note if note or count else "No prediction matches these filters."


def quiet_note(
    snapshot: Snapshot, newest: Mapping[AssetType, Newest], wanted: Sequence[Mapping[str, str]], words: str
) -> str | None:
    """Says of each class that its newest bars give no signal, with the range of their probabilities.

    Args:
        snapshot: Gives rows and thresholds.
        newest: Newest rows that were asked about, by class.
        wanted: Texts of such a signal; one of several is enough.
        words: What such a signal is called.

    Returns:
        None when every class has one on its newest bars.
    """
    columns = snapshot.columns
    quiet = {
        name: found for name, found in newest.items() if not any(columns.counts(found.positions, one) for one in wanted)
    }
    if not quiet:
        return None
    parts = []
    for name, found in quiet.items():
        p = 100 * columns.up_probability[found.positions]
        span = f"up probabilities {p.min():.1f}% to {p.max():.1f}%"
        parts.append(f"{name} {found.stamp:%Y-%m-%d}: none in {p.size:,} symbols, {span}")
    bounds = _bounds({name: snapshot.champions[name] for name in quiet})
    return f"No {words} on the newest bars, which is a valid answer. {'; '.join(parts)}. {bounds}."


def accuracy_note(snapshot: Snapshot, asset_types: Sequence[AssetType]) -> str:
    """How often HIGH confidence was right out of sample, each class beside its base rate."""
    parts = [_record_text(champion.high_record) for name, champion in snapshot.champions.items() if name in asset_types]
    return "; ".join(parts) if parts else "no champion, no record"


def _record_text(record: RecordSummary) -> str:
    if record.accuracy is None or record.accuracy_ci_95 is None:
        return f"{record.asset_type}: no HIGH prediction of known outcome since training ended"
    low, high = record.accuracy_ci_95
    return (
        f"{record.asset_type}: {record.accuracy:.1f}% of {record.total_predictions:,} HIGH predictions out of sample "
        f"were right (95% interval {low:.1f} to {high:.1f}), base rate {record.base_rate:.1f}%"
    )


def _bounds(champions: Mapping[str, ChampionInfo]) -> str:
    """The thresholds in force, once where all classes share them."""
    texts: dict[str, list[str]] = {}
    for name, champion in champions.items():
        rules = champion.thresholds
        high = f"HIGH from {100 * rules.high:g}% or to {100 * rules.high_low:g}%"
        texts.setdefault(f"BUY from {100 * rules.buy:g}%, SELL to {100 * rules.sell:g}%, {high}", []).append(name)
    if len(texts) == 1:
        return next(iter(texts))
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in texts.items())
