/** A trace as a tree in rows: who is whose child, what is folded, where a message waited. Pure. */

const OWN_WAITS = ["queue", "acquire"];

export class Tree {
  /** `spans` in tree order, parents before children, each with its depth. */
  constructor({ spans, critical = [], start }) {
    this.spans = spans;
    this.start = start;
    this.index = new Map(spans.map((span, at) => [span.id, at]));
    this.ends = subtreeEnds(spans);
    this.critical = groupById(critical);
    this.end = spans.reduce((latest, span) => Math.max(latest, endOf(span)), start + 1);
  }

  /** Return the indices of the spans that no folded one hides. */
  visible(folded) {
    const shown = [];
    for (let at = 0; at < this.spans.length; at += 1) {
      shown.push(at);
      if (folded.has(this.spans[at].id)) at = this.ends[at] - 1;
    }
    return shown;
  }

  hasChildren(at) {
    return this.ends[at] > at + 1;
  }

  children(at) {
    const found = [];
    for (let child = at + 1; child < this.ends[at]; child = this.ends[child]) found.push(child);
    return found;
  }

  /** Return the index of the parent's row; null for a root. */
  parent(at) {
    for (let above = at - 1; above >= 0; above -= 1) {
      if (this.spans[above].depth < this.spans[at].depth) return above;
    }
    return null;
  }

  /** Return the ids of what is above a span, to unfold it. */
  above(at) {
    const ids = [];
    for (let up = this.parent(at); up !== null; up = this.parent(up)) ids.push(this.spans[up].id);
    return ids;
  }

  /** Return the indices of the spans that have the words in a name, an attribute, an error or an id. */
  find(words) {
    const wanted = words.trim().toLowerCase();
    if (!wanted) return [];
    return [...this.spans.keys()].filter((at) => textOf(this.spans[at]).includes(wanted));
  }

  errors() {
    return [...this.spans.keys()].filter((at) => this.spans[at].error);
  }

  /** Return {from, to}: when a message was under way to the one that a span begins with; or null. */
  wait(at) {
    const sent = this.#sent(at);
    return sent !== null && sent < this.spans[at].start ? { from: sent, to: this.spans[at].start } : null;
  }

  /** Milliseconds in which none of its children ran. */
  ownTime(at) {
    const span = this.spans[at];
    let [covered, until] = [0, span.start];
    for (const child of this.children(at).map((each) => this.spans[each])) {
      const [from, to] = [Math.max(until, child.start), Math.min(endOf(child), endOf(span))];
      if (to > from) [covered, until] = [covered + to - from, to];
    }
    return Math.max(0, span.duration - covered / 1000);
  }

  #sent(at) {
    const span = this.spans[at];
    const up = this.parent(at);
    if (up === null) return null;
    if (span.kind === "CONSUMER") return endOf(this.spans[up]);
    const family = this.children(up).map((each) => this.spans[each]);
    if (span.kind === "SERVER" && !family.some((each) => each.name.startsWith("queue "))) {
      return lastEnd(family, (each) => each.name.startsWith("publish "));
    }
    if (span.name.startsWith("receive ") && !span.error) return lastEnd(family, (each) => each.kind === "SERVER");
    return null;
  }
}

export function endOf(span) {
  return span.start + span.duration * 1000;
}

/** Whether a span is nothing but waiting. */
export function isWait(span) {
  return span.kind === "INTERNAL" && OWN_WAITS.includes(span.name.split(" ", 1)[0]);
}

function lastEnd(spans, matches) {
  const found = spans.filter(matches).map(endOf);
  return found.length ? Math.max(...found) : null;
}

function subtreeEnds(spans) {
  const ends = new Array(spans.length);
  const open = [];
  spans.forEach((span, at) => {
    while (open.length && spans[open.at(-1)].depth >= span.depth) ends[open.pop()] = at;
    open.push(at);
  });
  for (const at of open) ends[at] = spans.length;
  return ends;
}

function groupById(stretches) {
  const groups = new Map();
  for (const each of stretches) {
    if (!groups.has(each.id)) groups.set(each.id, []);
    groups.get(each.id).push(each);
  }
  return groups;
}

const texts = new WeakMap();

function textOf(span) {
  if (!texts.has(span)) {
    const parts = [span.name, span.service, span.kind, span.id, span.message, JSON.stringify(span.attributes)];
    texts.set(span, parts.join("\n").toLowerCase());
  }
  return texts.get(span);
}
