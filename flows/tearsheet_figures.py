"""The figures of a tearsheet as Plotly's own JSON: data and layout, colours as names that the page's theme fills in.

A colour is written `$name` or `$name/0.2` (with opacity); the page replaces it by the theme's, light or dark.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from flows.tearsheet_data import BINS, TearsheetData, by_exit_reason, rolling

Figure = dict[str, Any]

_BANDS: Final = (("p01", "p99", 0.10, "98%"), ("p05", "p95", 0.16, "90%"), ("p25", "p75", 0.24, "50%"))


def figures(data: TearsheetData) -> dict[str, Figure]:
    """Every figure that this backtest has, by the id of its place on the page."""
    made = {"equity": equity(data), "rolling": rolling_figure(data)}
    if data.trades.height:
        made |= {"distribution": distribution(data), "exits": exits(data.trades), "costs": costs(data)}
    if data.report["fan"] is not None:
        made["fan"] = fan(data)
    return made


def equity(data: TearsheetData) -> Figure:
    """Equity and buy-and-hold in percent of the capital, drawdown below."""
    daily, capital = data.daily, data.capital
    dates = _dates(daily["date"])
    own = _rounded(100 * (daily["equity_usd"] / capital - 1))
    held = _rounded(100 * (daily["benchmark_usd"] / capital - 1))
    return {
        "data": [
            _line(dates, held, "buy and hold", "$bench", width=1.5),
            _line(dates, own, "strategy", "$accent", width=2),
            {
                **_line(dates, _rounded(daily["drawdown_pct"]), "drawdown", "$loss", width=1),
                "fill": "tozeroy",
                "fillcolor": "$loss/0.18",
                "yaxis": "y2",
                "showlegend": False,
            },
        ],
        "layout": {
            "height": 430,
            "yaxis": {"domain": [0.34, 1], "ticksuffix": "%", "title": {"text": "return"}},
            "yaxis2": {"domain": [0, 0.24], "ticksuffix": "%", "title": {"text": "drawdown"}, "rangemode": "tozero"},
            "xaxis": {"anchor": "y2"},
        },
    }


def rolling_figure(data: TearsheetData) -> Figure:
    """Rolling Sharpe ratio, and accuracy beside its base rate."""
    frame = rolling(data)
    dates = _dates(frame["date"])
    sharpe = _line(dates, _rounded(frame["sharpe"], 3), "Sharpe ratio", "$accent", width=2)
    traces: list[Figure] = [{**sharpe, "showlegend": False}]
    accuracies = (
        ("base_rate", "base rate", {"color": "$bench", "width": 1.5, "dash": "dot"}),
        ("accuracy_all", "accuracy, all predictions", {"color": "$second", "width": 1.5}),
        ("accuracy", "accuracy, signals", {"color": "$accent", "width": 2}),
    )
    for name, title, line in accuracies:
        if frame[name].count():
            traces.append(
                {**_line(dates, _rounded(frame[name], 2), title, "$bench", width=1), "line": line, "yaxis": "y2"}
            )
    return {
        "data": traces,
        "layout": {
            "height": 400,
            "yaxis": {"domain": [0.56, 1], "title": {"text": "Sharpe"}, "zeroline": True},
            "yaxis2": {"domain": [0, 0.42], "ticksuffix": "%", "title": {"text": "accuracy"}},
            "xaxis": {"anchor": "y2"},
        },
    }


def distribution(data: TearsheetData) -> Figure:
    """Daily returns of days that moved, with value at risk and expected shortfall."""
    returns = data.daily["return_pct"].to_numpy()
    moved = returns[returns != 0]
    counts, edges = np.histogram(moved, bins=BINS)
    lines = [(data.result["var_95_pct"], "VaR 95%", "dash", 1.0), (data.result["cvar_95_pct"], "CVaR 95%", "dot", 0.9)]
    return {
        "data": [
            {
                "type": "bar",
                "x": _rounded(pl.Series((edges[:-1] + edges[1:]) / 2)),
                "y": counts.tolist(),
                "width": float(edges[1] - edges[0]) * 0.94,
                "marker": {"color": ["$loss" if middle < 0 else "$accent" for middle in (edges[:-1] + edges[1:]) / 2]},
                "hovertemplate": "%{x:.2f}%: %{y} days<extra></extra>",
                "showlegend": False,
            }
        ],
        "layout": {
            "height": 300,
            "xaxis": {"ticksuffix": "%", "title": {"text": "return of a day"}},
            "yaxis": {"title": {"text": "days"}},
            "bargap": 0,
            "shapes": [
                {"type": "line", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": top, "line": _mark(dash)}
                for at, _, dash, top in lines
            ],
            "annotations": [
                {
                    "x": at,
                    "yref": "paper",
                    "y": top,
                    "text": f"{name} {at:.2f}%".replace("-", "−"),
                    "showarrow": False,
                    "xanchor": "right",
                    "xshift": -4,
                    "font": {"color": "$ink"},
                }
                for at, name, _, top in lines
            ],
        },
    }


def exits(trades: pl.DataFrame) -> Figure:
    """Result in money by the reason of exit; how many trades and winners stand beside the bars."""
    table = by_exit_reason(trades).reverse()
    names = [reason.replace("_", " ").lower() for reason in table["exit_reason"]]
    told = [
        f"{row['trades']:,} trades, {100 * row['winners'] / row['trades']:.0f}% won, {row['avg_return_pct']:+.2f}% each"
        for row in table.iter_rows(named=True)
    ]
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": _rounded(table["return_usd"]),
                "y": [f"{name}<br>{count:,}" for name, count in zip(names, table["trades"], strict=True)],
                "marker": {"color": ["$accent" if value > 0 else "$loss" for value in table["return_usd"]]},
                "customdata": told,
                "hovertemplate": "%{x:,.0f} USD<br>%{customdata}<extra></extra>",
                "showlegend": False,
            }
        ],
        "layout": {
            "height": 110 + 46 * table.height,
            "xaxis": {"title": {"text": "result, USD"}, "zeroline": True},
            "yaxis": {"automargin": True, "showgrid": False},
        },
    }


def costs(data: TearsheetData) -> Figure:
    """Profit before and after costs; the space between them is what trading cost."""
    daily = data.daily
    net = daily["equity_usd"] - data.capital
    dates = _dates(daily["date"])
    return {
        "data": [
            _line(dates, _rounded(net, 0), "after costs", "$accent", width=2),
            {
                **_line(dates, _rounded(net + daily["costs_usd"].cum_sum(), 0), "before costs", "$bench", width=1.5),
                "fill": "tonexty",
                "fillcolor": "$loss/0.18",
            },
        ],
        "layout": {"height": 300, "yaxis": {"title": {"text": "profit, USD"}, "zeroline": True}},
    }


def fan(data: TearsheetData) -> Figure:
    """Percentiles of equity over simulated paths, with what happened."""
    drawn, days = data.report["fan"], data.report["fan"]["day"]
    percent = {
        name: [round(100 * (value - 1), 3) for value in values] for name, values in drawn.items() if name != "day"
    }
    traces: list[Figure] = []
    for low, high, opacity, share in _BANDS:
        edge = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        traces.append({**edge, "x": days, "y": percent[low], "showlegend": False})
        traces.append(
            {
                **edge,
                "x": days,
                "y": percent[high],
                "name": f"{share} of paths",
                "fill": "tonexty",
                "fillcolor": f"$accent/{opacity}",
            }
        )
    traces.append(_line(days, percent["p50"], "median", "$accent", width=1.5))
    equity_pct = 100 * (data.daily["equity_usd"] / data.capital - 1)
    shown = [0.0, *_rounded(equity_pct)][: days[-1] + 1]
    traces.append(_line(list(range(len(shown))), shown, "what happened", "$ink", width=1.5))
    return {
        "data": traces,
        "layout": {
            "height": 360,
            "xaxis": {"title": {"text": "days"}, "type": "linear"},
            "yaxis": {"ticksuffix": "%", "title": {"text": "return"}, "zeroline": True},
        },
    }


def _line(x: list[Any], y: list[float | None], name: str, colour: str, *, width: float) -> Figure:
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "name": name, "line": {"color": colour, "width": width}}


def _mark(dash: str) -> Figure:
    return {"color": "$ink", "width": 1.5, "dash": dash}


def _dates(column: pl.Series) -> list[str]:
    return column.cast(pl.String).to_list()


def _rounded(column: pl.Series, decimals: int = 3) -> list[float | None]:
    """Numbers as short as a picture needs; what is not finite becomes a gap."""
    values = column.cast(pl.Float64)
    return pl.select(pl.when(values.is_finite()).then(values.round(decimals))).to_series().to_list()
