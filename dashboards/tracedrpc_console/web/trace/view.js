/** One trace: what it was, the waterfall, and the span that is looked at. */

import { changed, go, link, note, traceLink } from "../address.js";
import { h, whenQuiet } from "../dom.js";
import { get, loader } from "../remote.js";
import { addExplanation, head } from "./head.js";
import { overview } from "./overview.js";
import { panel } from "./panel.js";
import { Tree } from "./tree.js";
import { Waterfall } from "./waterfall.js";

const ZOOM_STEP = 0.6;
const QUIET_MS = 120;

export function open(root) {
  const load = loader(root, ({ trace, id }) => {
    sheet?.close();
    sheet = new Sheet(root, trace);
    sheet.show(params);
    get(`explain/${encodeURIComponent(id)}`).then((said) => addExplanation(root, said)).catch(() => null);
  });
  let sheet = null;
  let loaded = null;
  let params = new URLSearchParams();

  function show(address) {
    params = address.params;
    if (address.id === loaded) return sheet?.show(params);
    loaded = address.id;
    refresh();
  }
  function refresh() {
    load(async (signal) => ({ id: loaded, trace: await get(`trace/${encodeURIComponent(loaded)}`, {}, signal) }));
  }
  function close() {
    load.stop();
    sheet?.close();
  }
  const on = (action) => () => (sheet ? sheet[action]() : false);
  const keys = [
    ["j or ArrowDown", "next span", on("down")], ["k or ArrowUp", "span before", on("up")],
    ["ArrowRight or o", "unfold, or to the first child", on("inward")],
    ["ArrowLeft or u", "fold, or to the parent", on("outward")],
    ["[", "fold everything", on("foldAll")], ["]", "unfold everything", on("unfoldAll")],
    ["n", "next find, or next error", on("nextFound")], ["N", "find before, or error before", on("lastFound")],
    ["e", "next error", on("nextError")], ["c", "critical path on or off", on("critical")],
    ["z", "zoom to the span", on("zoomToSpan")], ["+", "zoom in", on("closer")], ["-", "zoom out", on("wider")],
    ["0", "the whole trace", on("whole")], ["Escape", "close the panel", on("deselect")],
    ["b", "back to the search", () => history.length > 1 ? history.back() : go(link("search"))],
  ];
  return { show, refresh, close, keys };
}

class Sheet {
  #trace;
  #logs = null;
  #params = new URLSearchParams();
  #panelOf = null;

  constructor(root, trace) {
    this.#trace = trace;
    this.tree = new Tree(trace);
    this.waterfall = new Waterfall(this.tree, root, (at) => this.select(at));
    this.overview = overview(this.tree, (zoom) => this.#zoom(zoom));
    this.find = h("input", { type: "search", placeholder: "Find in this trace", "aria-label": "Find in this trace",
      oninput: whenQuiet(QUIET_MS, () => this.#note({ find: this.find.value })),
      onkeydown: (event) => event.key === "Enter" && (event.shiftKey ? this.lastFound() : this.nextFound()) });
    this.tally = h("span.dim.mono", { role: "status" });
    this.path = h("input", { type: "checkbox", onchange: () => this.critical() });
    this.panel = h("aside.panel", { "aria-label": "The span", hidden: true });
    this.sticky = h("div.sticky", this.#tools(), h("div.overview-row", h("div.label"), this.overview.element, h("div.took")), this.waterfall.head);
    root.replaceChildren(
      h("section.head", head(trace, () => this.nextError())),
      h("div.trace-body", h("section.spans", this.sticky, this.waterfall.element), this.panel));
  }

  /** Draw what the address says. */
  show(params) {
    this.#params = params;
    this.find.value = document.activeElement === this.find ? this.find.value : params.get("find") ?? "";
    this.waterfall.found = new Set(this.tree.find(params.get("find") ?? ""));
    this.waterfall.withCritical = this.path.checked = params.get("critical") !== "off";
    this.waterfall.zoom = this.#zoomOf(params);
    this.overview.show(this.waterfall.zoom);
    this.waterfall.redraw();
    this.#say();
    this.#open(this.tree.index.get(params.get("span")) ?? null);
  }

  select(at) {
    this.#note({ span: at === null ? null : this.tree.spans[at].id });
  }

  down() { this.select(this.waterfall.neighbour(1)); }
  up() { this.select(this.waterfall.neighbour(-1)); }
  deselect() { this.select(null); }
  foldAll() { this.waterfall.foldAll(true); }
  unfoldAll() { this.waterfall.foldAll(false); }
  critical() { this.#note({ critical: this.#params.get("critical") === "off" ? null : "off" }); }
  whole() { this.#zoom(null); }
  closer() { this.#scale(ZOOM_STEP); }
  wider() { this.#scale(1 / ZOOM_STEP); }
  nextFound() { this.#step(this.#wanted(), 1); }
  lastFound() { this.#step(this.#wanted(), -1); }
  nextError() { this.#step(this.tree.errors(), 1); }

  inward() {
    const at = this.waterfall.selected;
    if (at === null || !this.tree.hasChildren(at)) return this.down();
    if (this.waterfall.folded.has(this.tree.spans[at].id)) return this.waterfall.fold(at, false);
    this.select(at + 1);
  }

  outward() {
    const at = this.waterfall.selected;
    if (at === null) return;
    const isOpen = this.tree.hasChildren(at) && !this.waterfall.folded.has(this.tree.spans[at].id);
    if (isOpen) this.waterfall.fold(at, true);
    else if (this.tree.parent(at) !== null) this.select(this.tree.parent(at));
  }

  zoomToSpan() {
    const span = this.tree.spans[this.waterfall.selected ?? 0];
    const margin = Math.max(2, span.duration * 50);
    this.#zoom({ from: Math.max(this.tree.start, span.start - margin), to: Math.min(this.tree.end, span.start + span.duration * 1000 + margin) });
  }

  close() {
    this.waterfall.close();
    this.overview.close();
  }

  #tools() {
    return h("div.tools", this.find, this.tally,
      h("label.tick", { title: "What the whole waited for (c)" }, this.path, h("i.critical-sign"), "critical path"),
      h("button", { type: "button", title: "Fold everything ([)", onclick: () => this.foldAll() }, "Fold"),
      h("button", { type: "button", title: "Unfold everything (])", onclick: () => this.unfoldAll() }, "Unfold"),
      h("button.whole", { type: "button", title: "The whole trace (0)", onclick: () => this.whole() }, "Whole trace"));
  }

  /** The address changes, but no step is made in the history: moving about in a trace is one visit. */
  #note(changes) {
    const params = changed(this.#params, changes);
    note(traceLink(this.#trace.id, params));
    this.show(params);
  }

  #open(at) {
    this.waterfall.select(at, this.sticky.offsetHeight);
    if (at === this.#panelOf) return;
    this.#panelOf = at;
    this.panel.hidden = at === null;
    if (at === null) return this.panel.replaceChildren();
    this.panel.replaceChildren(...panel(this.tree, at, {
      onClose: () => this.deselect(), onSelect: (other) => this.select(other), loadLogs: () => this.#loadLogs(),
    }).filter(Boolean));
    this.panel.scrollTop = 0;
  }

  #loadLogs() {
    this.#logs ??= this.#trace.logs === 0 ? Promise.resolve([])
      : get(`trace/${encodeURIComponent(this.#trace.id)}/logs`).then(({ logs }) => logs.sort((a, b) => a.at - b.at));
    return this.#logs;
  }

  #wanted() {
    return this.#params.get("find") ? [...this.waterfall.found] : this.tree.errors();
  }

  #step(spans, by) {
    if (!spans.length) return;
    const at = this.waterfall.selected ?? -1;
    const next = by > 0 ? spans.find((each) => each > at) ?? spans[0] : spans.findLast((each) => each < at) ?? spans.at(-1);
    this.select(next);
  }

  #say() {
    const find = this.#params.get("find");
    this.tally.textContent = find ? `${this.waterfall.found.size} of ${this.tree.spans.length}` : "";
    this.sticky.querySelector(".whole").hidden = !this.#params.has("zoom");
  }

  /** In the address a zoom is microseconds since the start of the trace: "1200-56000". */
  #zoomOf(params) {
    const parts = /^(\d+)-(\d+)$/.exec(params.get("zoom") ?? "");
    if (!parts || Number(parts[2]) <= Number(parts[1])) return { from: this.tree.start, to: this.tree.end };
    return { from: this.tree.start + Number(parts[1]), to: this.tree.start + Number(parts[2]) };
  }

  #zoom(zoom) {
    this.#note({ zoom: zoom && `${Math.round(zoom.from - this.tree.start)}-${Math.round(zoom.to - this.tree.start)}` });
  }

  #scale(factor) {
    const { from, to } = this.waterfall.zoom;
    const span = this.tree.spans[this.waterfall.selected];
    const middle = span ? span.start + span.duration * 500 : (from + to) / 2;
    const half = Math.max(1, ((to - from) / 2) * factor);
    const next = { from: Math.max(this.tree.start, middle - half), to: Math.min(this.tree.end, middle + half) };
    this.#zoom(next.from <= this.tree.start && next.to >= this.tree.end ? null : next);
  }
}
