"""The golden suite: GoogleSQL whose answer BigQuery documents.

The same list runs on the embedded engine and on a real project. A new rule of the dialect comes with a probe here.
"""

from __future__ import annotations

from dataclasses import replace

from warehouse.dialect.probe import Probe
from warehouse.dialect.probes_numbers import NAN_PROBES, NUMBERS, STATISTICS
from warehouse.dialect.probes_refused import EVERYWHERE, REFUSED
from warehouse.dialect.probes_rows import AGGREGATES, ARRAYS, QUERIES, WINDOWS
from warehouse.dialect.probes_tables import PARAMETERS, TABLES
from warehouse.dialect.probes_text import PATTERNS, TEXT
from warehouse.dialect.probes_times import DATES, TIMES

TOPICS: dict[str, list[Probe]] = {
    "numbers": NUMBERS,
    "NaN": NAN_PROBES,
    "statistics": STATISTICS,
    "text": TEXT,
    "patterns": PATTERNS,
    "dates": DATES,
    "times": TIMES,
    "arrays": ARRAYS,
    "aggregates": AGGREGATES,
    "windows": WINDOWS,
    "queries": QUERIES,
    "parameters": PARAMETERS,
    "tables": TABLES,
    "refused by name": REFUSED,
    "no reads": EVERYWHERE,
}

PROBES: tuple[Probe, ...] = tuple(replace(probe, topic=topic) for topic, probes in TOPICS.items() for probe in probes)
"""Every golden probe, by topic."""
