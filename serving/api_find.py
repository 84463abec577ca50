"""Which symbol a request means, and what it may have meant instead."""

from __future__ import annotations

import difflib

from market.assets import AssetType
from market.errors import BadBarsError, UnknownSymbolError
from market.symbols import MAX_SYMBOL_LENGTH, canonical_symbol
from serving.snapshot import Snapshot

NEAR = 5


def find_symbol(snapshot: Snapshot, asset_type: AssetType, raw: str) -> str | None:
    """The canonical name of a symbol that the snapshot holds, None for any other text."""
    try:
        symbol = canonical_symbol(asset_type, raw)
    except BadBarsError:
        return None
    return symbol if (asset_type, symbol) in snapshot.history_positions else None


def known_symbol(snapshot: Snapshot, asset_type: AssetType, raw: str) -> str:
    """The canonical name of a symbol that the snapshot holds.

    Raises:
        UnknownSymbolError: It holds no such symbol; the remedy names near ones, and other classes that hold it.
    """
    symbol = find_symbol(snapshot, asset_type, raw)
    if symbol is None:
        raise UnknownSymbolError(
            f"no prediction of {asset_type} {shown(raw)}", remedy=suggestion(snapshot, asset_type, raw)
        )
    return symbol


def suggestion(snapshot: Snapshot, asset_type: AssetType, raw: str) -> str:
    """What a request for an unknown symbol may have meant."""
    if not snapshot.symbols.get(asset_type):
        served = ", ".join(name for name, symbols in snapshot.symbols.items() if symbols) or "none"
        return f"there are no predictions of {asset_type} at all; served: {served}"
    others = [name for name in snapshot.symbols if name != asset_type and find_symbol(snapshot, name, raw)]
    if others:
        return f"it is known in {', '.join(others)}: give asset_type={others[0]}"
    near = near_symbols(snapshot, asset_type, raw)
    return f"near names: {', '.join(near)}"


def near_symbols(snapshot: Snapshot, asset_type: AssetType, raw: str) -> list[str]:
    """Symbols of a class that look like a text, the likest first; without any, its first ones."""
    known = snapshot.symbols.get(asset_type, ())
    asked = raw.strip().upper()[:MAX_SYMBOL_LENGTH]
    # comparing every text with every symbol would let unknown names slow the service down
    alike = [symbol for symbol in known if asked and (symbol[0] == asked[0] or asked in symbol)]
    return difflib.get_close_matches(asked, alike, n=NEAR, cutoff=0.4) or list((alike or known)[:NEAR])


def shown(raw: str) -> str:
    """A text of a request as a message may repeat it."""
    return repr(raw if len(raw) <= MAX_SYMBOL_LENGTH else raw[:MAX_SYMBOL_LENGTH] + "...")
