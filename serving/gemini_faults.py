"""What can go wrong between a question and an answer; none of these leaves `serving.gemini_desk`.

Their texts are words of this program only: a server's message may hold anything, a key included.
"""

from __future__ import annotations


class GeminiFaultError(Exception):
    """An attempt failed.

    Attributes:
        may_have_cost: Whether Gemini may have worked for it, so that its reservation stands.
    """

    may_have_cost = False


class BusyError(GeminiFaultError):
    """Gemini asks for fewer requests (429): it works, so the circuit stays closed.

    Args:
        message: What happened.
        retry_after_seconds: When it wants to be asked again, if it said so.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        """Keep the wait apart."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class UnavailableError(GeminiFaultError):
    """A server's error or a broken connection: another attempt may succeed.

    Args:
        message: What happened.
        retry_after_seconds: When it wants to be asked again, if it said so.
        may_have_cost: The connection broke after the question had left.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None, *, may_have_cost: bool = False) -> None:
        """Keep the wait apart."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.may_have_cost = may_have_cost


class RefusedError(GeminiFaultError):
    """Gemini will not answer this, however often it is asked (400, 401, 403, 404)."""


class TooSlowError(GeminiFaultError):
    """No answer within the time of one attempt."""

    may_have_cost = True


class UnusableAnswerError(GeminiFaultError):
    """An answer came that is not what was asked for."""

    may_have_cost = True


class BudgetSpentError(GeminiFaultError):
    """The day's budget leaves no room for another request; nothing was sent."""


class CircuitOpenError(GeminiFaultError):
    """Too many failures in a row, or a long wait asked for; nothing was sent."""
