"""On-demand features of a retrieved table, computed from the columns they declare."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from feast import OnDemandFeatureView
from feast.type_map import feast_value_type_to_pa


class OnDemand:
    """The on-demand views of one request.

    Stock Feast hands every view the whole table, for a `python` view as lists of Python objects: 40 columns for a
    product of two. Here a view gets what it declares as its sources, some hundred thousand rows at a time; a
    transformation is a function of its row, as it has to be to answer online.
    """

    def __init__(
        self, views: Sequence[OnDemandFeatureView], references: Sequence[str], *, full_feature_names: bool
    ) -> None:
        """Views in the order in which their columns are added."""
        self._views = views
        self._full = full_feature_names
        self._wanted = {
            view.name: {
                name
                for reference in references
                for owner, _, name in [reference.partition(":")]
                if owner in (view.name, view.projection.name_to_use())
            }
            for view in views
        }

    def added_to(self, table: pa.Table) -> pa.Table:
        """The table with the requested on-demand features behind its columns, in their declared types."""
        for view in self._views:
            computed = view.transform_arrow(table.select(self._inputs(view, table)), self._full)
            for feature in view.features:
                shown = f"{view.projection.name_to_use()}__{feature.name}" if self._full else feature.name
                if shown in computed.column_names and feature.name in self._wanted[view.name]:
                    dtype = feast_value_type_to_pa(feature.dtype.to_value_type())
                    table = table.append_column(shown, computed.column(shown).cast(dtype))
        return table

    def _inputs(self, view: OnDemandFeatureView, table: pa.Table) -> list[str]:
        declared = set(view.get_request_data_schema())
        for projection in view.source_feature_view_projections.values():
            for feature in projection.features:
                declared |= {feature.name, f"{projection.name_to_use()}__{feature.name}"}
        return [name for name in table.column_names if name in declared]
