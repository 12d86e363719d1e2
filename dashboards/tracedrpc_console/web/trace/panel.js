/** Everything about one span, beside the waterfall. */

import { link, traceLink } from "../address.js";
import { serviceName } from "../colours.js";
import { copyButton } from "../copy.js";
import { h } from "../dom.js";
import { duration, text } from "../format.js";
import { legend, strip } from "../phases.js";
import { spanLogs } from "./span_logs.js";
import { endOf } from "./tree.js";

const PHASE = /^tracedrpc\.phase\./;

/** Return the panel's elements. `loadLogs()` gives the trace's log lines, loaded once. */
export function panel(tree, at, { onClose, onSelect, loadLogs }) {
  const span = tree.spans[at];
  return [
    h("header",
      h("div", serviceName(span.service), h("span.dim", span.kind)),
      h("h2.mono", span.name),
      h("button.icon.close", { type: "button", "aria-label": "Close the panel (Esc)", title: "Close (Esc)", onclick: onClose }, "✕")),
    span.error && h("p.failure", h("b", text(span.attributes["error.type"] ?? "error")), span.message && ` ${span.message}`),
    span.why && span.why !== span.message && h("p.why", span.why),
    facts(tree, at, onSelect),
    span.phases && h("section", h("h3", "Phases"), strip(span.phases), legend(span.phases)),
    spanLogs(tree, at, loadLogs),
    section("Attributes", pairs(withoutPhases(span)), (found) => table(found, true)),
    section("Events", span.events, (events) => events.map((event) => eventLine(event, span))),
    section("Links", span.links, (links) => links.map(linkLine)),
    section("Resource", pairs(span.resource), (found) => table(found, false), false),
  ];
}

/** The strip above shows the phases; their attributes would say it again. */
function withoutPhases(span) {
  return Object.fromEntries(Object.entries(span.attributes).filter(([key]) => !(span.phases && PHASE.test(key))));
}

function facts(tree, at, onSelect) {
  const span = tree.spans[at];
  const up = tree.parent(at);
  const fact = (name, ...value) => [h("dt", name), h("dd.mono", value)];
  return h("dl.facts",
    fact("took", h("b", duration(span.duration)), tree.hasChildren(at) && h("span.dim", ` ${duration(tree.ownTime(at))} its own`)),
    fact("from", `${duration((span.start - tree.start) / 1000)} to ${duration((endOf(span) - tree.start) / 1000)}`),
    up !== null && fact("parent", h("button.link", { type: "button", onclick: () => onSelect(up) }, tree.spans[up].name)),
    span.version && fact("version", span.version),
    fact("span id", span.id, copyButton(span.id, "Copy the span id")));
}

function pairs(attributes) {
  return Object.entries(attributes).sort(([a], [b]) => a.localeCompare(b));
}

function section(title, items, draw, isOpen = true) {
  if (!items.length) return null;
  return h("details.part", { open: isOpen },
    h("summary", title, h("span.dim.mono", String(items.length))), h("div", draw(items)));
}

function table(found, isSearchable) {
  return h("table.attributes", h("tbody", found.map(([key, value]) => h("tr",
    h("th", { scope: "row" }, key),
    h("td", h("span.value", text(value)), h("span.tools", copyButton(text(value), `Copy ${key}`),
      isSearchable && isShort(value) && h("a", { href: link("search", { attr: `${key}=${text(value)}`, range: "all" }),
        title: "Traces with the same value", "aria-label": `Traces with the same ${key}` }, "⌕")))))));
}

function isShort(value) {
  return text(value).length < 200 && !/\s/.test(text(value));
}

function eventLine(event, span) {
  return h("div.event", h("span.mono.dim", `+${duration((event.at - span.start) / 1000)}`), h("b.mono", event.name),
    pairs(event.attributes).map(([key, value]) => h("span.pair.mono", h("span.dim", `${key}=`), text(value))));
}

function linkLine(each) {
  return h("div.event", h("a.mono", { href: traceLink(each.trace, { span: each.span }) }, `trace ${each.trace.slice(0, 12)}`),
    pairs(each.attributes).map(([key, value]) => h("span.pair.mono", h("span.dim", `${key}=`), text(value))));
}
