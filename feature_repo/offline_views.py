"""What a point-in-time read wants of each feature view, in plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from feast import FeatureView
from feast.feature_view import DUMMY_ENTITY_ID
from feast.repo_config import RepoConfig

from feature_repo.offline_source import ParquetFiles


@dataclass(frozen=True)
class RequestedView:
    """One view's part of a read.

    Attributes:
        name: The view, for messages.
        files: Its source.
        keys: Column in the files -> column of the entity frame.
        timestamp: Event time in the files.
        created: When a row was written; None: unknown.
        ttl_microseconds: How long a row is valid, the last instant included; None: for ever.
        features: Column of the answer -> column in the files.
    """

    name: str
    files: ParquetFiles
    keys: Mapping[str, str]
    timestamp: str
    created: str | None
    ttl_microseconds: int | None
    features: Mapping[str, str]


def requested_views(
    config: RepoConfig, views: Sequence[FeatureView], references: Sequence[str], *, full_feature_names: bool
) -> list[RequestedView]:
    """The views in the order of the request; features in that of the references.

    Raises:
        FeatureError: A source is no parquet file, or lacks a column.
    """
    return [_requested(config, view, references, full_feature_names) for view in views]


def _requested(config: RepoConfig, view: FeatureView, references: Sequence[str], full: bool) -> RequestedView:
    projection, source = view.projection, view.batch_source
    files = ParquetFiles.of(config, source)
    prefix = f"{projection.name_to_use()}:"
    wanted = [reference.removeprefix(prefix) for reference in references if reference.startswith(prefix)]
    shown = projection.name_alias or view.name
    # A partial join-key map leaves the other keys under their own names; stock Feast forgets these.
    keys = [key.name for key in view.entity_columns if key.name != DUMMY_ENTITY_ID]
    created = source.created_timestamp_column
    return RequestedView(
        name=shown,
        files=files,
        keys={files.physical(key): projection.join_key_map.get(key, key) for key in keys},
        timestamp=files.physical(source.timestamp_field),
        created=files.physical(created) if created else None,
        # Feast takes a time to live of zero for none.
        ttl_microseconds=round(view.ttl.total_seconds() * 1_000_000) if view.ttl else None,
        features={f"{shown}__{name}" if full else name: files.physical(name) for name in wanted},
    )
