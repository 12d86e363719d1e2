/** The service map: who calls whom, through which queues, how often and how well. */

import { go, link } from "../address.js";
import { serviceName } from "../colours.js";
import { h } from "../dom.js";
import { nothingFound, nothingYet } from "../empty.js";
import { count, duration, percent, rate } from "../format.js";
import { rangePicker, stretch } from "../range.js";
import { get, loader } from "../remote.js";
import { hasAnything } from "../status.js";
import { picture } from "./picture.js";

export function open(root) {
  const range = rangePicker((next) => go(link("map", next)));
  const place = h("section.map");
  const table = h("section.table");
  const load = loader(place, draw);
  let params = new URLSearchParams();
  root.append(h("form.filters", h("div.second", range.element,
    h("span.dim.hint", "an edge's width is its calls; point at a service to see its neighbours"))), place, table);

  function show(address) {
    params = address.params;
    range.show(params);
    refresh();
  }

  function refresh() {
    const { from, to } = stretch(params);
    load((signal) => get("map", { from: Math.round(from), to: Math.round(to) }, signal));
  }

  function draw({ nodes, edges }) {
    table.replaceChildren();
    if (!nodes.length) return place.replaceChildren(hasAnything() ? nothing() : nothingYet());
    const { from, to } = stretch(params);
    const seconds = (from ? to - from : 0) / 1e6;
    place.replaceChildren(picture(nodes, edges, seconds, (name) => go(link("search", { ...timeOf(params), service: name }))));
    table.replaceChildren(edgeTable(nodes, edges, seconds));
  }

  function nothing() {
    return nothingFound("Nobody called anybody in this time",
      h("a.button", { href: link("map", { range: "all" }) }, "Look at everything stored"));
  }

  return { show, refresh, follow: refresh, close: load.stop, keys: [] };
}

function timeOf(params) {
  return Object.fromEntries(["range", "from", "to"].map((name) => [name, params.get(name)]));
}

/** The picture's edges as a table, for who cannot see it and for who wants to read numbers. */
function edgeTable(nodes, edges, seconds) {
  const queues = new Set(nodes.filter(({ kind }) => kind === "queue").map(({ name }) => name));
  const heads = ["from", "to", "calls", "rate", "errors", "p95"];
  return h("table.edges", h("thead", h("tr", heads.map((title) => h("th", title)))),
    h("tbody", edges.toSorted((a, b) => b.calls - a.calls).map((edge) => h("tr",
      h("td", named(edge.from, queues)), h("td", named(edge.to, queues)), h("td.mono", count(edge.calls)),
      h("td.mono", seconds ? rate(edge.calls / seconds) : "–"),
      h("td.mono", { class: edge.errors ? "bad" : "" }, percent(edge.calls ? edge.errors / edge.calls : 0)),
      h("td.mono", edge.p95 ? duration(edge.p95) : "–")))));
}

function named(name, queues) {
  return queues.has(name) ? h("span.mono.dim", name) : serviceName(name);
}
