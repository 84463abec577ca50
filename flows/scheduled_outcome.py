"""What a scheduled flow found: for people in Prefect's dashboard, and as a state that tells the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from market.errors import TradeHitsError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

Cell = str | int | float | None

PARTIAL: Final = "Partial"
_TOLD: Final = 600


@dataclass(frozen=True)
class Outcome:
    """One run of a scheduled flow.

    Attributes:
        headline: The run in one sentence.
        table: Rows of the summary, all with the same columns.
        lines: What else a reader should know; nothing of it is wrong.
        problems: What was not as it should be though the run did its work; with any of them it is not simply green.
        failures: What the run was for and did not do; with any of them it has failed.
        links: Pages to go on with, by their name.
    """

    headline: str
    table: Sequence[Mapping[str, Cell]] = ()
    lines: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the state in which it ends."""
        return "Failed" if self.failures else PARTIAL if self.problems else "Completed"

    @property
    def markdown(self) -> str:
        """The whole outcome as a page."""
        parts = [f"**{_plain(self.headline)}**"]
        for title, texts in (("Failed", self.failures), ("Not as it should be", self.problems), ("", self.lines)):
            if texts:
                parts += ([f"### {title}"] if title else []) + ["\n".join(f"- {_plain(text)}" for text in texts)]
        if self.table:
            parts.append(_table(self.table))
        if self.links:
            parts.append(" · ".join(f"[{name}]({url})" for name, url in self.links.items()))
        return "\n\n".join(parts) + "\n"


def failed(error: TradeHitsError) -> Outcome:
    """A run that ended with an error: what is wrong, and what to do."""
    return Outcome(type(error).__name__, lines=(error.remedy,) if error.remedy else (), failures=(error.message,))


def publish(name: str, outcome: Outcome) -> None:
    """Keep the outcome as artifacts of the present flow run: a page with its links, and the table by itself."""
    from prefect.artifacts import create_markdown_artifact, create_table_artifact

    create_markdown_artifact(outcome.markdown, key=f"{name}-summary", description=outcome.headline)
    if outcome.table:
        create_table_artifact([dict(row) for row in outcome.table], key=f"{name}-table", description=outcome.headline)


def state_of(outcome: Outcome) -> State[Any]:
    """Failed, completed as `Partial`, or completed; the message names every reason."""
    from prefect.states import Completed, Failed

    if outcome.failures:
        return Failed(message=_cut("; ".join(outcome.failures)))
    if outcome.problems:
        return Completed(name=PARTIAL, message=_cut("; ".join(outcome.problems)))
    return Completed(message=_cut(outcome.headline))


def _table(rows: Sequence[Mapping[str, Cell]]) -> str:
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([_cell(row[name]) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else _plain(str(value)).replace("|", "\\|")


def _plain(text: str) -> str:
    """On one line: a line break would end the list or the table it stands in."""
    return " ".join(text.split())


def _cut(text: str) -> str:
    said = _plain(text)
    return said if len(said) <= _TOLD else f"{said[: _TOLD - 1]}…"
