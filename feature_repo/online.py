"""The newest bar of each symbol, from Feast's online store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import StringIO

import polars as pl
from feast import FeatureStore

from configs.settings import Settings
from feature_repo.connection import open_store, quiet
from feature_repo.publication import published_files
from feature_repo.reading import UTC_TIME, float64, newest_bars, refuse_other_variants
from feature_repo.services import FEATURE_VIEW, INTERACTIONS, KEYS, feature_names
from market.assets import AssetType
from market.errors import FeatureError

MARGIN = timedelta(seconds=1)
_STAMPS = ("datetime", "known_at", "indicator_variant")


@dataclass(frozen=True)
class Materialized:
    """What was loaded online: the newest bar of each symbol, known between `start` and `end`."""

    symbols: int
    start: datetime
    end: datetime


@dataclass(frozen=True)
class OnlineFeatures:
    """The newest bar of each symbol.

    Attributes:
        rows: Keys (`asset_type`, `symbol`, `datetime`, `bar_known_at`) and the service's features as Float64, in the
            order the symbols were asked for; NULL where a feature is unknown. How old a bar may be is the caller's
            rule: Feast does not enforce its time to live online.
        missing: Symbols of which the online store holds no bar.
    """

    rows: pl.DataFrame
    missing: tuple[str, ...]


def materialize(settings: Settings, *, store: FeatureStore | None = None) -> Materialized:
    """Load the newest published bar of every symbol into the online store.

    The time range is explicit, from the oldest of these bars to the newest: Feast's incremental load starts at the wall
    clock less the time to live and would find no bar of a replayed symbol.

    Raises:
        FeatureError: Nothing applied or nothing published yet, the published table is empty, or Redis does not answer.
    """
    store = store or open_store(settings)
    # Feast prints its progress; standard output belongs to the command that called.
    with published_files(settings), quiet(), redirect_stdout(StringIO()), _reachable(settings):
        newest: list[datetime] = newest_bars(store)["bar_known_at"].to_list()
        if not newest:
            raise FeatureError(
                "the published features have no rows", remedy="run `tradehits features` on ingested bars"
            )
        start, end = min(newest) - MARGIN, max(newest) + MARGIN
        store.materialize(start, end, feature_views=[FEATURE_VIEW])
    return Materialized(symbols=len(newest), start=start, end=end)


def read_online(
    settings: Settings,
    service: str,
    asset_type: AssetType,
    symbols: Sequence[str],
    *,
    store: FeatureStore | None = None,
) -> OnlineFeatures:
    """The newest loaded bar's features of given symbols.

    Raises:
        FeatureError: Unknown service, nothing applied yet, or Redis does not answer.
        MixedVariantError: Rows were made by another indicator variant than the configured one.
    """
    names = feature_names(service)
    store = store or open_store(settings)
    wanted = list(dict.fromkeys(symbols))
    references = [
        *(f"{FEATURE_VIEW}:{stamp}" for stamp in _STAMPS),
        *(f"{name if name in INTERACTIONS else FEATURE_VIEW}:{name}" for name in names),
    ]
    if not wanted:
        keys = {name: pl.String if name in ("asset_type", "symbol") else UTC_TIME for name in KEYS}
        return OnlineFeatures(pl.DataFrame(schema={**keys, **dict.fromkeys(names, pl.Float64)}), ())
    with _reachable(settings):
        response = store.get_online_features(references, {"asset_type": [asset_type] * len(wanted), "symbol": wanted})
    answer = response.to_dict()
    frame = pl.DataFrame({name: answer[name] for name in ("asset_type", "symbol", *_STAMPS, *names)})
    found = frame.filter(pl.col("datetime").is_not_null())
    refuse_other_variants(settings, found)
    found = found.with_columns(
        pl.col("datetime").cast(UTC_TIME), pl.col("known_at").cast(UTC_TIME).alias("bar_known_at")
    )
    missing = tuple(frame.filter(pl.col("datetime").is_null())["symbol"])
    return OnlineFeatures(found.select(*KEYS, *float64(names)), missing)


@contextmanager
def _reachable(settings: Settings) -> Iterator[None]:
    if settings.feast.online_store != "redis":
        yield
        return
    from redis.exceptions import RedisError

    address = settings.feast.redis
    try:
        yield
    except RedisError as error:
        raise FeatureError(
            f"Redis at {address.host}:{address.port} does not answer: {error}",
            remedy="start it, or mend feast.redis and TRADEHITS_REDIS_PASSWORD",
        ) from error
