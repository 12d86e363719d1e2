/** The waterfall: a tree of rows with bars to scale, of which only those in sight are in the document. */

import { serviceClass } from "../colours.js";
import { h } from "../dom.js";
import { duration } from "../format.js";
import { Rows } from "../rows.js";
import { lane } from "./lane.js";

const ROW_HEIGHT = 26;
const TICKS = [0, 0.2, 0.4, 0.6, 0.8];
const INDENT = 13;
const DEEPEST_INDENT = 14;

export class Waterfall {
  folded = new Set();
  selected = null;
  withCritical = true;
  found = new Set();

  /** `onSelect(index)` is called when somebody picks a row. */
  constructor(tree, scroller, onSelect) {
    this.tree = tree;
    this.zoom = { from: tree.start, to: tree.end };
    this.ruler = h("div.ruler", { "aria-hidden": "true" });
    this.head = h("div.waterfall-head", h("div.label.dim", "span and its service"), this.ruler, h("div.took"));
    this.rows = new Rows({ scroller, height: ROW_HEIGHT, draw: (row) => this.#row(row) });
    this.element = h("div.waterfall", { role: "treegrid", tabindex: 0, "aria-label": "Spans of the trace",
      "aria-rowcount": tree.spans.length }, this.rows.element);
    this.element.addEventListener("click", (event) => this.#clicked(event, onSelect));
    this.unfolded();
  }

  /** Draw anew what is shown, after `folded` has changed. */
  unfolded() {
    this.shown = this.tree.visible(this.folded);
    this.rowOf = new Map(this.shown.map((at, row) => [at, row]));
    this.rows.reset(this.shown.length);
  }

  redraw() {
    this.ruler.replaceChildren(...this.#ticks());
    this.rows.redraw();
  }

  /** Mark a span as selected and have it in sight; null for none. */
  select(at, covered = 0) {
    const before = this.selected;
    this.selected = at;
    if (at !== null && !this.rowOf.has(at)) {
      for (const id of this.tree.above(at)) this.folded.delete(id);
      this.unfolded();
    }
    for (const each of [before, at]) if (each !== null) this.rows.redrawRow(this.rowOf.get(each));
    if (at === null) return this.element.removeAttribute("aria-activedescendant");
    this.rows.reveal(this.rowOf.get(at), covered);
    this.element.setAttribute("aria-activedescendant", `span-${at}`);
  }

  /** Return the index of the span `by` rows below the selected one. */
  neighbour(by) {
    const row = this.selected === null ? -Math.sign(by) : this.rowOf.get(this.selected) ?? 0;
    return this.shown[Math.min(this.shown.length - 1, Math.max(0, row + by))];
  }

  fold(at, isFolded) {
    const { id } = this.tree.spans[at];
    if (isFolded) this.folded.add(id);
    else this.folded.delete(id);
    this.unfolded();
  }

  foldAll(isFolded) {
    const parents = this.tree.spans.filter((span, at) => span.depth > 0 && this.tree.hasChildren(at));
    this.folded = new Set(isFolded ? parents.map((span) => span.id) : []);
    this.unfolded();
  }

  close() {
    this.rows.close();
  }

  #clicked(event, onSelect) {
    const at = Number(event.target.closest("[data-at]")?.dataset.at ?? -1);
    if (at < 0) return;
    if (event.target.closest(".caret")) this.fold(at, !this.folded.has(this.tree.spans[at].id));
    else onSelect(at);
  }

  #row(row) {
    const at = this.shown[row];
    const span = this.tree.spans[at];
    const isParent = this.tree.hasChildren(at);
    return h("div.row", {
      id: `span-${at}`, "data-at": at, role: "row", "aria-level": span.depth + 1, "aria-rowindex": at + 1,
      "aria-selected": String(at === this.selected), "aria-expanded": isParent && String(!this.folded.has(span.id)),
      class: `${serviceClass(span.service)} ${span.error ? "error" : ""} ${this.found.has(at) ? "found" : ""}`,
    },
    h("div.label", { role: "gridcell", style: { "padding-left": `${4 + Math.min(span.depth, DEEPEST_INDENT) * INDENT}px` } },
      isParent ? h("span.caret", { "aria-hidden": "true" }, this.#caret(at)) : h("span.caret.leaf"),
      h("span.name", { title: `${span.service} ${span.name}` }, span.name),
      h("span.of", span.service),
      span.error && h("span.flag", { title: span.message || "error" }, "!"),
      span.missingParent && h("span.orphan", { title: "its parent has not arrived" }, "orphan")),
    h("div.lane", { role: "gridcell" }, lane(this.tree, at, this.zoom, this.withCritical)),
    h("div.took", { role: "gridcell" }, duration(span.duration)));
  }

  #caret(at) {
    return this.folded.has(this.tree.spans[at].id) ? `▸${this.tree.ends[at] - at - 1}` : "▾";
  }

  #ticks() {
    const { from, to } = this.zoom;
    return TICKS.map((share) => h("span.tick", { style: { left: `${share * 100}%` } },
      duration((from + share * (to - from) - this.tree.start) / 1000)));
  }
}
