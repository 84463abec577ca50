"""A planted fault: what it does, how it gets into the code, and what the audit must say of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from training.checks import CheckResult


@dataclass(frozen=True)
class Naming:
    """A failed check that names a fault.

    Attributes:
        check: Name of the check.
        subject: Pattern that its subject matches as a whole.
        detail: Pattern found in its detail; empty for any.
    """

    check: str
    subject: str
    detail: str = ""

    def is_by(self, result: CheckResult) -> bool:
        """Whether a result names it so."""
        return (
            result.status == "failed"
            and result.check == self.check
            and re.fullmatch(self.subject, result.subject) is not None
            and re.search(self.detail, result.detail) is not None
        )


@dataclass(frozen=True)
class Fault:
    """One way in which a number comes to lie.

    Attributes:
        name: As it is called.
        what: What somebody did.
        plant: Puts it into the code while the block runs.
        named: How the audit must name it; one of several is enough.
        elsewhere: Other failed checks that it may set off; any further failure is a wrong accusation.
        is_variant: Whether another fault of the library does the same in another place.
    """

    name: str
    what: str
    plant: Callable[[], AbstractContextManager[None]]
    named: tuple[Naming, ...]
    elsewhere: tuple[Naming, ...] = ()
    is_variant: bool = False

    def namings(self, results: Sequence[CheckResult]) -> list[CheckResult]:
        """The results that name it rightly."""
        return [result for result in results if any(naming.is_by(result) for naming in self.named)]

    def wrong(self, results: Sequence[CheckResult]) -> list[CheckResult]:
        """Failed checks that accuse something else."""
        allowed = (*self.named, *self.elsewhere)
        return [
            result
            for result in results
            if result.status == "failed" and not any(naming.is_by(result) for naming in allowed)
        ]
