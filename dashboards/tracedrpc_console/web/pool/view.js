/** Connections: each pool over time, what waited and why connections ended; heartbeats; time-outs by phase. */

import { go, link } from "../address.js";
import { serviceName } from "../colours.js";
import { h } from "../dom.js";
import { nothingFound, nothingYet } from "../empty.js";
import { count, duration } from "../format.js";
import { rangePicker, stretch } from "../range.js";
import { get, loader } from "../remote.js";
import { hasAnything } from "../status.js";
import { poolChart } from "./chart.js";

const SERIES = [["used", "in use"], ["idle", "idle"], ["waiting", "waiting"], ["max", "limit"]];

export function open(root) {
  const range = rangePicker((next) => go(link("pool", next)));
  const place = h("section.pools");
  const load = loader(place, draw);
  let params = new URLSearchParams();
  root.append(h("form.filters", h("div.second", range.element,
    h("span.chart-key", SERIES.map(([name, words]) => h("span", { class: `k-${name}` }, h("i"), words))))), place);

  function show(address) {
    params = address.params;
    range.show(params);
    refresh();
  }

  function refresh() {
    const { from, to } = stretch(params);
    load((signal) => get("pool", { from: Math.round(from), to: Math.round(to) }, signal));
  }

  function draw({ pools, heartbeats, timeouts }) {
    const isEmpty = !pools.length && !heartbeats.length && !Object.keys(timeouts).length;
    if (isEmpty) return place.replaceChildren(hasAnything() ? nothing() : nothingYet());
    place.replaceChildren(
      h("div.cards", pools.map((pool) => card(pool, stretch(params)))),
      h("div.beside", heartbeatTable(heartbeats), timeoutBars(timeouts)));
  }

  function nothing() {
    return nothingFound("No metrics in this time",
      h("a.button", { href: link("pool", { range: "all" }) }, "Look at everything stored"),
      h("span.dim", "Metrics leave an application every OTEL_METRIC_EXPORT_INTERVAL, 60 s by default."));
  }

  return { show, refresh, follow: refresh, close: load.stop, keys: [] };
}

function card(pool, time) {
  const last = (name) => pool.series[name]?.at(-1)?.[1] ?? null;
  return h("article.card", h("header", h("h2", serviceName(pool.service), h("span.mono", pool.name)), h("span.dim.mono", pool.instance)),
    poolChart(pool.series, time),
    h("dl.numbers",
      SERIES.map(([name, words]) => number(words, last(name), name === "waiting" && last(name) > 0)),
      number("opened", pool.created), wait(pool.wait), pool.timeouts > 0 && number("gave up waiting", pool.timeouts, true),
      Object.entries(pool.closed ?? {}).map(([reason, closed]) => closed > 0 && number(`closed: ${reason.replace("_", " ")}`, closed, reason === "error"))));
}

function number(words, value, isNoteworthy = false) {
  return h("div", { class: isNoteworthy ? "noteworthy" : "" }, h("dt", words), h("dd.mono", value === null ? "–" : count(value)));
}

function wait(stats) {
  if (!stats?.count) return null;
  return [["wait p50", stats.p50], ["wait p99", stats.p99]].map(([words, ms]) =>
    h("div", h("dt", words), h("dd.mono", ms === null || ms === undefined ? "–" : duration(ms))));
}

function heartbeatTable(heartbeats) {
  if (!heartbeats.length) return null;
  return h("article.card", h("header", h("h2", "Heartbeats")),
    h("table", h("thead", h("tr", h("th", "service"), h("th", "received"), h("th", "sent"))),
      h("tbody", heartbeats.map((each) => h("tr", h("td", serviceName(each.service)), h("td.mono", count(each.received)),
        h("td.mono", count(each.sent)))))));
}

function timeoutBars(timeouts) {
  const found = Object.entries(timeouts).filter(([, number]) => number > 0).sort((a, b) => b[1] - a[1]);
  if (!found.length) return null;
  const most = found[0][1];
  return h("article.card", h("header", h("h2", "Time-outs by phase")),
    h("ul.bars", found.map(([phase, number]) => h("li",
      h("a", { href: link("search", { outcome: "timeout", attr: `tracedrpc.timeout.phase=${phase}` }) }, phase),
      h("i", { style: { width: `${(number / most) * 60}%` } }), h("b.mono", count(number))))));
}
