/** The list of traces found: when, what, how long, whose, and the sentence that says why. */

import { traceLink } from "../address.js";
import { serviceName } from "../colours.js";
import { h } from "../dom.js";
import { duration, plural } from "../format.js";
import { moment } from "../times.js";

const MOST_SERVICES = 5;

/** Return {element, step}; `older(cursor)` gives the next page. */
export function resultList(first, older) {
  let longest = 0;
  const list = h("ol.traces");
  const more = h("button.older", { type: "button", onclick: () => extend().catch(told) });
  const told = (error) => more.replaceChildren(`${error.message} Try again`);
  let next = null;

  function add({ traces, next: cursor }) {
    longest = Math.max(longest, ...traces.map((trace) => trace.duration));
    list.append(...traces.map(row));
    for (const bar of list.querySelectorAll("i.length")) bar.style.width = `${(bar.dataset.ms / longest) * 100}%`;
    next = cursor;
    more.hidden = !next;
    more.textContent = "Older traces";
  }
  async function extend() {
    more.textContent = "…";
    add(await older(next));
  }
  function step(by) {
    const links = [...list.querySelectorAll("a.trace")];
    const at = links.indexOf(document.activeElement);
    links[Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
  }
  add(first);
  return { element: h("div", list, more), step };
}

function row(trace) {
  const isBad = trace.outcome !== "ok";
  return h("li", h("a.trace", { href: traceLink(trace.id), class: `o-${trace.outcome}` },
    h("span.when", moment(trace.start)),
    h("span.what",
      serviceName(trace.root.service), h("b.name", { title: trace.root.name }, trace.root.name),
      isBad && h("span.outcome", trace.outcome === "timeout" ? "time-out" : "error")),
    h("span.took", h("i.length", { "data-ms": trace.duration }), h("b.mono", duration(trace.duration))),
    h("span.size.dim", plural(trace.spans, "span"),
      trace.errors > 0 && h("span.bad", ` · ${plural(trace.errors, "error")}`)),
    h("span.whose", shares(trace)),
    trace.why && h("span.why", trace.why)));
}

function shares({ services }) {
  const [shown, rest] = [services.slice(0, MOST_SERVICES), services.length - MOST_SERVICES];
  return [
    shown.map((share) => h("span.share", serviceName(share.name), h("span.dim.mono", String(share.spans)))),
    rest > 0 && h("span.dim", `+${rest}`),
  ];
}
