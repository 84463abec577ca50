"""Style and script of the tearsheet: one page, light and dark, from a phone's width to a desk's."""

from __future__ import annotations

from typing import Final

CONTENT_POLICY: Final = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""The page may fetch nothing at all."""

STYLE: Final = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --surface: #ffffff; --ink: #16202e; --muted: #5b6675; --line: #e3e7ec;
  --accent: #1f5fd0; --second: #7a5bc4; --bench: #8a94a3; --loss: #c4501b; --gain: #1f5fd0; --badge: #eef1f5; }
@media (prefers-color-scheme: dark) { :root {
  --page: #0e131a; --surface: #161d27; --ink: #e8edf4; --muted: #9aa7b8; --line: #2a3442;
  --accent: #6ea4ff; --second: #b79cff; --bench: #7f8b9c; --loss: #ff935c; --gain: #6ea4ff; --badge: #222c3a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", Arial, sans-serif; -webkit-text-size-adjust: 100%; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 0 0 2px; } p { margin: 6px 0; } .muted { color: var(--muted); }
.small { font-size: 13px; } code { font: 12.5px/1.4 ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.badge { display: inline-block; padding: 1px 10px; margin: 0 4px 4px 0; border-radius: 999px; background: var(--badge);
  font-size: 13px; } .badge.warn { background: var(--loss); color: var(--surface); font-weight: 600; }
section { background: var(--surface); border: 1px solid var(--line); border-radius: 12px; padding: 16px 18px;
  margin: 16px 0 0; min-width: 0; }
.verdict { font-size: 16px; border-left: 4px solid var(--accent); } .verdict p { margin: 3px 0; }
.tiles { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 12px; margin: 16px 0 0; }
.tile { background: var(--surface); border: 1px solid var(--line); border-radius: 12px; padding: 12px 14px; }
.tile b { display: block; font-size: 23px; line-height: 1.25; font-variant-numeric: tabular-nums; font-weight: 650; }
.tile span { font-size: 13px; color: var(--muted); display: block; } .tile .name { font-size: 13px; color: var(--ink); }
.pair { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; margin: 16px 0 0; }
.pair > section { margin: 0; }
.figure { width: 100%; min-width: 0; }
.wide { overflow-x: auto; -webkit-overflow-scrolling: touch; }
.tall { max-height: 430px; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 9px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child, td.text { text-align: left; } td.text { white-space: normal; overflow-wrap: anywhere; }
th { color: var(--muted); font-weight: 600; position: sticky; top: 0; background: var(--surface); }
.down { color: var(--loss); }
.heat td, .heat th { text-align: center; padding: 7px 2px; border: 2px solid var(--surface); font-size: 12.5px;
  border-radius: 5px; } .heat td:first-child, .heat th:first-child { color: var(--muted); padding-right: 6px; }
.heat td.cell { background: color-mix(in srgb, var(--shade) calc(var(--weight) * 1%), var(--surface)); }
.heat td.year { font-weight: 650; } .heat { table-layout: fixed; min-width: 520px; }
details { margin: 8px 0 0; } summary { cursor: pointer; color: var(--muted); }
@media (max-width: 860px) { .pair { grid-template-columns: minmax(0, 1fr); }
  .tiles { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); } }
@media (max-width: 480px) { main { padding: 16px 10px 32px; } h1 { font-size: 22px; } section { padding: 12px 12px; }
  .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 8px; } .tile { padding: 9px 11px; }
  .tile b { font-size: 19px; } .verdict { font-size: 15px; } th, td { padding: 5px 6px; font-size: 12.5px; }
  .symbols th:nth-child(n+6), .symbols td:nth-child(n+6) { display: none; }
  .symbols th, .symbols td { padding: 5px 4px; }
  .symbols td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 84px; }
  .heat { min-width: 0; } .heat thead { display: none; }
  .heat tr { display: grid; grid-template-columns: repeat(7, minmax(0, 1fr)); margin: 0 0 10px; }
  .heat td { font-size: 12px; padding: 3px 0; min-height: 42px; }
  .heat td::before { content: attr(data-name); display: block; font-size: 11px; color: var(--muted); font-weight: 400; }
  .heat td.cell::before { color: var(--ink); }
  .heat td:first-child { padding: 3px 0; font-weight: 650; } .heat td:last-child { grid-area: 2 / 1; } }
@media print { body { background: #fff; } section, .tile { break-inside: avoid; } .tall { max-height: none; } }
"""

SCRIPT: Final = """
(function () {
  var figures = JSON.parse(document.getElementById("figures").textContent);
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var names = ["page", "surface", "ink", "muted", "line", "accent", "second", "bench", "loss"];
  function theme() {
    var style = getComputedStyle(document.documentElement), found = {};
    names.forEach(function (name) { found[name] = style.getPropertyValue("--" + name).trim(); });
    return found;
  }
  function colour(text, found) {
    var parts = text.slice(1).split("/"), hex = found[parts[0]];
    if (!hex) { return text; }
    if (parts.length === 1) { return hex; }
    var n = parseInt(hex.slice(1), 16);
    return "rgba(" + [n >> 16, (n >> 8) & 255, n & 255, parts[1]].join(",") + ")";
  }
  function filled(value, found) {
    if (typeof value === "string") { return value.charAt(0) === "$" ? colour(value, found) : value; }
    if (Array.isArray(value)) { return value.map(function (one) { return filled(one, found); }); }
    if (value && typeof value === "object") {
      var copy = {};
      Object.keys(value).forEach(function (key) { copy[key] = filled(value[key], found); });
      return copy;
    }
    return value;
  }
  function axis(found, own, phone) {
    var title = own && own.title ? Object.assign({ standoff: 6 }, own.title) : undefined;
    var base = { gridcolor: found.line, linecolor: found.line, zerolinecolor: found.bench, zeroline: false,
      tickfont: { size: phone ? 10 : 12 }, automargin: true, fixedrange: phone, nticks: phone ? 5 : 8 };
    return Object.assign(base, own || {}, { title: phone ? undefined : title });
  }
  function drawn(id, found, phone) {
    var figure = filled(figures[id], found), own = figure.layout, layout = Object.assign({}, own, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: found.muted, size: phone ? 11 : 12.5 },
      margin: { l: phone ? 8 : 12, r: phone ? 8 : 14, t: 30, b: 8, pad: 2 }, autosize: true,
      hovermode: own.hovermode || "x unified", hoverlabel: { bgcolor: found.surface, bordercolor: found.line,
        font: { color: found.ink } }, dragmode: phone ? false : "zoom",
      legend: { orientation: "h", x: 0, y: 1.0, yanchor: "bottom",
        font: { color: found.ink, size: phone ? 11 : 12.5 } } });
    Object.keys(own).concat(["xaxis", "yaxis"]).forEach(function (key) {
      if (/^[xy]axis/.test(key)) { layout[key] = axis(found, own[key], phone); }
    });
    return { data: figure.data, layout: layout };
  }
  function draw() {
    var found = theme(), phone = window.innerWidth <= 480;
    Object.keys(figures).forEach(function (id) {
      var made = drawn(id, found, phone);
      Plotly.react(id, made.data, made.layout, { responsive: true, displayModeBar: false });
    });
  }
  draw();
  dark.addEventListener("change", draw);
  var narrow = window.matchMedia("(max-width: 480px)");
  narrow.addEventListener("change", draw);
})();
"""
