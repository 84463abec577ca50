"""A tearsheet as one self-contained HTML page: style, figures and Plotly are in it, and it fetches nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from flows.tearsheet_assets import CONTENT_POLICY, SCRIPT, STYLE
from flows.tearsheet_cells import interval_text, minus, number, percent, signed, table, times_100, told
from flows.tearsheet_data import TearsheetData, by_symbol, monthly_returns, verdict
from flows.tearsheet_figures import Figure, figures

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FULL_SHADE_PCT: Final = 8.0


def render(data: TearsheetData, plotly_js: str) -> str:
    """The page, UTF-8; every text from outside is escaped.

    Args:
        data: The backtest.
        plotly_js: Plotly's library.
    """
    made = figures(data)
    result = data.result
    title = f"{result['strategy_name']} · {result['asset_type']}"
    body = "\n".join(_body(data, made, title))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n"
        f'<script type="application/json" id="figures">{_script_json(made)}</script>\n'
        f"<script>{plotly_js}</script>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _body(data: TearsheetData, made: Mapping[str, Figure], title: str) -> Iterator[str]:
    yield from _head(data, title)
    yield (
        '<section class="verdict">' + "".join(f"<p>{escape(minus(line))}</p>" for line in verdict(data)) + "</section>"
    )
    yield from _tiles(data)
    yield _figure(
        "Equity and drawdown", "Percent of the capital, after costs; buy and hold before costs.", "equity", made
    )
    yield _section("Months", "Return in percent, compounded from days.", _heat_map(data))
    yield _figure(
        f"Rolling, {data.window} days",
        "Rolling Sharpe ratio, and accuracy beside the base rate: accuracy means something only above it.",
        "rolling",
        made,
    )
    yield _pair(
        _figure("Days", "Returns of days that moved; value at risk of all days.", "distribution", made),
        _figure("Why trades ended", "Result by exit reason; number of trades below its name.", "exits", made),
    )
    yield _pair(_figure("Costs", _cost_note(data), "costs", made), _cost_table(data) if data.trades.height else "")
    yield _figure("What else could have happened", _fan_note(data), "fan", made)
    yield _symbols(data)
    yield _section("How it was done", "", _assumptions(data))


def _head(data: TearsheetData, title: str) -> Iterator[str]:
    result, report = data.result, data.report
    kind = (
        '<span class="badge warn">SIMULATED bars</span>'
        if report["is_simulated"]
        else '<span class="badge">real bars</span>'
    )
    origin = "live predictions" if report["origin"] == "live" else "walk-forward record"
    yield f"<h1>{escape(title)}</h1>"
    yield (
        f'<p>{kind}<span class="badge">{result["start_date"]} to {result["end_date"]}</span>'
        f'<span class="badge">{origin}</span></p>'
        f'<p class="muted small">{escape(result["model_version"] or "")} · backtest '
        f"<code>{escape(result['backtest_id'])}</code> · "
        f"{escape(str(result['created_at'])[:16].replace('T', ' '))} UTC</p>"
    )


def _tiles(data: TearsheetData) -> Iterator[str]:
    result = data.result
    intervals = result["monte_carlo"]["intervals_95"]
    usage = result["monte_carlo"]["usage"]
    won = f"{number(result['win_rate'], 1)}% won" if result["win_rate"] is not None else "none"
    tiles = (
        (
            "Return",
            percent(result["total_return_pct"], 1, sign=True),
            f"buy and hold {percent(result['benchmark_return_pct'], 1, sign=True)}",
        ),
        (
            "A year",
            percent(result["annualized_return_pct"], 1, sign=True),
            interval_text(intervals["annualized_return_pct"], 1, "%"),
        ),
        ("Sharpe ratio", number(result["sharpe_ratio"], 2), interval_text(intervals["sharpe_ratio"], 2)),
        ("Deflated Sharpe", number(result["deflated_sharpe_ratio"], 2), f"probability, {result['trials']:,} trials"),
        ("Largest drawdown", percent(result["max_drawdown_pct"], 1), f"Calmar {number(result['calmar_ratio'], 2)}"),
        ("VaR 95%, a day", percent(result["var_95_pct"], 2), f"shortfall {percent(result['cvar_95_pct'], 2)}"),
        ("Trades", f"{result['total_trades']:,}", won),
        ("Profit factor", number(result["profit_factor"], 2), "gross profit / gross loss"),
        ("Exposure", percent(usage["exposure_pct"], 0), f"turnover {number(usage['turnover_per_year'], 1)} a year"),
        ("Beta", number(result["beta"], 2), f"alpha {percent(times_100(result['alpha']), 1, sign=True)} a year"),
    )
    yield (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><span class="name">{escape(name)}</span><b>{escape(value)}</b>'
            f"<span>{escape(note)}</span></div>"
            for name, value, note in tiles
        )
        + "</div>"
    )


def _heat_map(data: TearsheetData) -> str:
    cells = {
        (row["year"], row["month"]): row["return_pct"] for row in monthly_returns(data.daily).iter_rows(named=True)
    }
    head = "".join(f"<th>{name}</th>" for name in ("", *MONTHS, "Year"))
    rows = []
    for year in sorted({year for year, _ in cells}):
        months = [_shaded(cells.get((year, at)), "cell", name) for at, name in enumerate(MONTHS, 1)]
        rows.append(f"<tr><td>{year}</td>{''.join(months)}{_shaded(cells.get((year, 0)), 'cell year', 'Year')}</tr>")
    heat = f'<table class="heat"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f'<div class="wide">{heat}</div>'


def _shaded(value: float | None, style: str, name: str) -> str:
    """A cell that also knows its own name: a phone shows a year in two rows, without the table's head."""
    if value is None:
        return f'<td data-name="{name}"></td>'
    weight = min(1.0, abs(value) / _FULL_SHADE_PCT) ** 0.7 * 72
    colour = "--gain" if value > 0 else "--loss"
    shade = f"--shade: var({colour}); --weight: {weight:.0f}"
    return f'<td class="{style}" data-name="{name}" style="{shade}">{signed(value, 1)}</td>'


def _symbols(data: TearsheetData) -> str:
    if not data.trades.height:
        return ""
    symbols = by_symbol(data.trades)
    several = symbols["asset_type"].n_unique() > 1
    rows = [
        (
            f"{row['symbol']} ({row['asset_type']})" if several else row["symbol"],
            signed(row["return_usd"], 0),
            f"{row['trades']:,}",
            f"{100 * row['winners'] / row['trades']:.0f}%",
            percent(row["avg_return_pct"], 2, sign=True),
            f"{row['long']:,} / {row['trades'] - row['long']:,}",
            number(row["costs_usd"], 0),
        )
        for row in symbols.iter_rows(named=True)
    ]
    header = ("symbol", "result USD", "trades", "won", "each", "long / short", "costs USD")
    note = f"{symbols.height:,} symbols, the best first. The best of many is good by luck too."
    return _section("Symbols", note, f'<div class="wide tall symbols">{table(header, rows)}</div>')


def _cost_note(data: TearsheetData) -> str:
    usage = data.result["monte_carlo"]["usage"]
    share = usage["cost_share_pct"]
    eaten = f", {share:.0f}% of the profit before them" if share is not None else ""
    return f"Fees, slippage and borrow cost took {number(usage['costs_usd'], 0)} USD{eaten}."


def _cost_table(data: TearsheetData) -> str:
    usage, parameters = data.result["monte_carlo"]["usage"], data.result["parameters"]
    rows = [
        ("break-even cost of a traded dollar", f"{number(usage['break_even_cost_bps'], 1)} bps"),
        ("costs, percent of the capital", percent(usage["costs_pct"], 2)),
        ("turnover a year", f"{number(usage['turnover_per_year'], 1)} times equity"),
        ("days with a position", percent(usage["time_in_market_pct"], 0)),
        ("capacity (90% of trades under the volume cap)", f"{number(usage['capacity_usd'], 0)} USD"),
    ]
    for name in parameters["classes"]:
        assumed = parameters["costs"][name]
        rows.append(
            (
                f"assumed, {name}",
                f"{assumed['fee_bps']:g} + {assumed['slippage_bps']:g} bps a fill, "
                f"borrow {assumed['borrow_bps_per_year']:g} a year",
            )
        )
    return _section("What it used", "", f'<div class="wide">{table(("", ""), rows, text=True)}</div>')


def _fan_note(data: TearsheetData) -> str:
    drawn = data.result["monte_carlo"]["days"]
    if drawn is None:
        return ""
    orders = data.result["monte_carlo"]["trades"]
    text = (
        f"{drawn['paths']:,} paths of {drawn['days']:,} days, drawn in blocks of {drawn['block_days']} from the days "
        f"above. A loss in {100 * drawn['loss_probability']:.0f}% of them, ruin "
        f"(down {drawn['ruin_loss_pct']:.0f}%) in "
        f"{100 * drawn['ruin_probability']:.1f}%; worst drawdown of one path in twenty: "
        f"{drawn['max_drawdown_pct']['p05']:.1f}%; median longest time under water "
        f"{drawn['days_under_water']['p50']:.0f} days."
    )
    if orders is not None:
        text += (
            f" In {100 * orders['drawdown_rank']:.0f}% of other orders of the same trades the drawdown was no deeper "
            "than in the order that happened."
        )
    return minus(text)


def _assumptions(data: TearsheetData) -> str:
    result = data.result
    parameters = result["parameters"]
    choices = {name: value for name, value in parameters["choices"].items() if name != "sizing"}
    rows = [(name.replace("_", " "), told(value)) for name, value in choices.items()]
    rows += [
        (f"sizing {name.replace('_', ' ')}", told(value)) for name, value in parameters["choices"]["sizing"].items()
    ]
    rows += [(name.replace("_", " "), told(value)) for name, value in parameters["limits"].items()]
    refused = {name.replace("_", " "): count for name, count in data.report["refused"].items() if count}
    rows += [
        ("capital USD", f"{parameters['capital_usd']:,.0f}"),
        ("signals not filled", told(refused) if refused else "none"),
    ]
    remarks = f"<p>{escape(result['notes'])}</p>" if result["notes"] else ""
    return (
        f"{remarks}<p>A signal formed at a bar's close is filled at the next bar's open, slippage against it. When a "
        "bar touches stop and target, the stop came first; a jump over either fills at the open. Cash earns nothing. "
        f"Ratios use the daily returns of the equity curve, {data.days_per_year} days a year. Intervals and paths are "
        "drawn from the days of this backtest: they do not know what never happened in it.</p>"
        "<details><summary>Rules and limits</summary>"
        f'<div class="wide">{table(("", ""), rows, text=True)}</div></details>'
    )


def _figure(title: str, note: str, name: str, made: Mapping[str, Figure]) -> str:
    if name not in made:
        return ""
    height = made[name]["layout"]["height"]
    return _section(title, note, f'<div class="figure" id="{name}" style="height: {height}px"></div>')


def _section(title: str, note: str, content: str) -> str:
    below = f'<p class="muted small">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{below}{content}</section>"


def _pair(first: str, second: str) -> str:
    return f'<div class="pair">{first}{second}</div>' if first and second else first or second


def _script_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
