/** A long list of which only the rows in sight are in the document. */

import { h, oncePerFrame } from "./dom.js";

const SPARE_ROWS = 10;

export class Rows {
  #scroller;
  #draw;
  #count = 0;
  #drawn = new Map();
  #watch;
  #resized;

  /**
   * `scroller` is what scrolls; `height` the pixels of a row, the same for all; `draw(index)` makes one.
   * Put `element` below whatever else the scroller holds.
   */
  constructor({ scroller, height, draw }) {
    this.height = height;
    this.element = h("div.rows");
    this.#scroller = scroller;
    this.#draw = draw;
    const fill = oncePerFrame(() => this.#fill());
    this.#watch = new AbortController();
    scroller.addEventListener("scroll", fill, { passive: true, signal: this.#watch.signal });
    this.#resized = new ResizeObserver(fill);
    this.#resized.observe(scroller);
  }

  /** Show this many rows; all that were drawn are drawn anew. */
  reset(count) {
    this.#count = count;
    this.element.style.height = `${count * this.height}px`;
    this.redraw();
  }

  redraw() {
    this.#drawn.clear();
    this.element.replaceChildren();
    this.#fill();
  }

  /** Draw one row anew, if it is in sight. */
  redrawRow(index) {
    const old = this.#drawn.get(index);
    if (!old) return;
    const made = this.#place(index);
    old.replaceWith(made);
  }

  /** Scroll as little as needed to have a row in sight. `covered` pixels at the top are under sticky things. */
  reveal(index, covered = 0) {
    const top = this.#offset() + index * this.height;
    const { scrollTop, clientHeight } = this.#scroller;
    if (top < scrollTop + covered) this.#scroller.scrollTop = top - covered - this.height;
    else if (top + this.height > scrollTop + clientHeight) {
      this.#scroller.scrollTop = top + 2 * this.height - clientHeight;
    }
    this.#fill();
  }

  close() {
    this.#watch.abort();
    this.#resized.disconnect();
  }

  #offset() {
    const inside = this.element.getBoundingClientRect().top - this.#scroller.getBoundingClientRect().top;
    return inside + this.#scroller.scrollTop;
  }

  #fill() {
    const { scrollTop, clientHeight } = this.#scroller;
    const above = scrollTop - this.#offset();
    const first = Math.max(0, Math.floor(above / this.height) - SPARE_ROWS);
    const last = Math.min(this.#count, Math.ceil((above + clientHeight) / this.height) + SPARE_ROWS);
    for (const [index, element] of this.#drawn) {
      if (index >= first && index < last) continue;
      element.remove();
      this.#drawn.delete(index);
    }
    const fresh = [];
    for (let index = first; index < last; index += 1) {
      if (!this.#drawn.has(index)) fresh.push(this.#place(index));
    }
    this.element.append(...fresh);
  }

  #place(index) {
    const row = this.#draw(index);
    row.style.transform = `translateY(${index * this.height}px)`;
    this.#drawn.set(index, row);
    return row;
  }
}
