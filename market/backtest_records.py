"""Layouts of the records that the engine's kernel reads and writes.

They are arguments of the compiled code and so part of its identity on disk: a changed layout is compiled afresh.
"""

from __future__ import annotations

from typing import Final

import numpy as np

TRADE: Final = np.dtype(
    [
        ("signal", np.int64),
        ("series", np.int64),
        ("entry_row", np.int64),
        ("exit_row", np.int64),
        ("reason", np.int64),
        ("units", np.float64),  # negative for a short
        ("entry_price", np.float64),  # fills, slippage included
        ("exit_price", np.float64),
        ("result", np.float64),
        ("fees", np.float64),
        ("slippage", np.float64),
        ("borrow", np.float64),
    ]
)

DAY: Final = np.dtype(
    [
        ("cash", np.float64),
        ("longs", np.float64),
        ("shorts", np.float64),
        ("traded", np.float64),
        ("costs", np.float64),  # all of them
        ("borrow", np.float64),
        ("positions", np.int64),
        ("entries", np.int64),
        ("exits", np.int64),
    ]
)

RULES: Final = np.dtype(
    [
        ("capital", np.float64),
        ("stop_atrs", np.float64),  # NaN: no stop
        ("target_atrs", np.float64),
        ("time_limit", np.int64),  # NEVER: no limit
        ("on_opposite", np.int64),
        ("longs", np.int64),
        ("shorts", np.int64),
        ("order_days", np.int64),
        ("sizing", np.int64),
        ("fraction", np.float64),
        ("position_volatility", np.float64),
        ("maximum_fraction", np.float64),
        ("kelly_share", np.float64),
        ("kelly_minimum", np.int64),
        ("kelly_floor", np.float64),
        ("maximum_positions", np.int64),
        ("gross_exposure", np.float64),
        ("cash_limit", np.int64),
        ("minimum_position", np.float64),
        ("volatility_bars", np.int64),
    ]
)

COSTS: Final = np.dtype(
    [
        ("fee", np.float64),  # shares of value
        ("slippage", np.float64),
        ("borrow_per_day", np.float64),
        ("volume_cap", np.float64),
        ("bars_per_year", np.float64),
        ("opening", np.int64),  # classes with a lower number open earlier on the same date
        ("last_place", np.int64),  # number of openings: where exits after the last one stand
    ]
)

ORDER: Final = np.dtype(
    [
        ("signal", np.int64),
        ("series", np.int64),
        ("row", np.int64),  # of the signal; the order is due on the next
        ("direction", np.float64),
        ("strength", np.float64),
        ("weight", np.float64),
        ("wait", np.int64),  # calendar days until it is due
        ("price", np.float64),  # open of the bar it is due on
        ("volume", np.float64),  # the smaller of both bars', -1 when the second is halted
        ("atr", np.float64),
        ("volatility", np.float64),  # yearly, as a share; only where the sizing asks for it
    ]
)

POSITION: Final = np.dtype(
    [
        ("asset_class", np.int64),  # of the series, like its first and last bar
        ("first_row", np.int64),
        ("last_row", np.int64),
        ("trade", np.int64),  # -1: none open
        ("closed_by", np.int64),  # the signal that decided its end, -1 for none
    ]
)

EXIT: Final = np.dtype(
    [
        ("next", np.int64),  # another trade with an exit at the same time, -1 for none
        ("proceeds", np.float64),  # to cash
        ("mark_value", np.float64),  # of the position before, positive
        ("gain", np.float64),  # per unit invested, after costs
    ]
)

ACCOUNT: Final = np.dtype(
    [
        ("cash", np.float64),
        ("equity", np.float64),  # at the previous close
        ("gross", np.float64),  # longs plus shorts, now
        ("wins", np.float64),  # trades closed before today, and the sum of their gains per unit invested
        ("won", np.float64),
        ("losses", np.float64),
        ("lost", np.float64),
        ("new_wins", np.float64),  # closed today
        ("new_won", np.float64),
        ("new_losses", np.float64),
        ("new_lost", np.float64),
    ]
)
