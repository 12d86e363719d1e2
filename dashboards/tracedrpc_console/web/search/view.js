/** Search: which traces, as points over time and as a list. */

import { changed, go, link, note, traceLink } from "../address.js";
import { h } from "../dom.js";
import { nothingFound, nothingYet } from "../empty.js";
import { DEFAULT_RANGE, stretch } from "../range.js";
import { get, loader } from "../remote.js";
import { hasAnything } from "../status.js";
import { filters, question } from "./filters.js";
import { resultList } from "./results.js";
import { scatter } from "./scatter.js";

const ID = /^[0-9a-f]{32}$/;

export function open(root) {
  const form = filters(ask);
  const plot = h("section.plot", { "aria-label": "Durations over time" });
  const list = h("section.results", { "aria-label": "Traces" });
  const loadPoints = loader(plot, (answer) => plot.replaceChildren(...scatter(answer.points, stretch(params), narrow)));
  const loadList = loader(list, drawList);
  let params = new URLSearchParams();
  let results = null;
  root.append(form.element, plot, list);
  form.element.elements.q.addEventListener("keydown", (event) => event.key === "Enter" && openById());

  /** The id of a trace or of a message, and Enter: straight to the trace. */
  async function openById() {
    const id = form.element.elements.q.value.trim().toLowerCase();
    const found = ID.test(id) && await get(`explain/${id}`).catch(() => null);
    if (found) go(traceLink(found.trace));
  }


  /** Ask another question: it becomes the address, and comes back to `show`. */
  function ask(next) {
    const href = link("search", next);
    if (document.activeElement?.matches("input[type=search], input[type=text]")) {
      note(href);
      show({ params: next });
    } else go(href);
  }

  function narrow(changes) {
    go(link("search", changed(params, { range: null, ...changes })));
  }

  function show(address) {
    params = address.params;
    form.show(params);
    refresh();
  }

  function refresh() {
    const asked = question(params);
    loadPoints((signal) => get("scatter", asked, signal));
    loadList((signal) => get("traces", asked, signal));
  }

  function drawList(answer) {
    if (!answer.traces.length) return list.replaceChildren(hasAnything() ? nothing() : nothingYet());
    results = resultList(answer, (before) => get("traces", changed(question(params), { before })));
    list.replaceChildren(results.element);
  }

  function nothing() {
    const isNarrow = [...params.keys()].some((key) => key !== "range");
    const isShort = (params.get("range") ?? DEFAULT_RANGE) !== "all" || params.has("from");
    return nothingFound("No trace is like that",
      isShort && h("a.button", { href: link("search", changed(params, { range: "all", from: null, to: null })) },
        "Look at everything stored"),
      isNarrow && h("a.button", { href: link("search", { range: params.get("range") }) }, "Take the filters away"));
  }

  function close() {
    loadPoints.stop();
    loadList.stop();
  }

  const keys = [
    ["j or ArrowDown", "next trace", () => results?.step(1) ?? false],
    ["k or ArrowUp", "trace before", () => results?.step(-1) ?? false],
    ["e", "errors only", () => go(link("search", changed(params, { errors: params.has("errors") ? null : "1" })))],
    ["0", "take all filters away", () => go(link("search", { range: params.get("range") }))],
  ];
  return { show, refresh, follow: refresh, close, keys };
}
