/** Numbers of two windows or versions beside each other: how much better or worse. Pure. */

import { h } from "../dom.js";
import { percent } from "../format.js";

const NOTEWORTHY = 0.1;

/** Return "+12 %" with its colour; `more` being worse. Nothing where there is nothing to compare. */
export function delta(now, before) {
  if (before === null || before === undefined || now === null || now === undefined) return null;
  if (before === 0) return now === 0 ? null : h("span.delta.worse", "new");
  const change = (now - before) / before;
  if (Math.abs(change) < 0.005) return h("span.delta", "±0");
  const judged = Math.abs(change) < NOTEWORTHY ? "" : change > 0 ? "worse" : "better";
  return h("span.delta", { class: judged }, signed(change));
}

/** Return how a rate has changed; more calls are neither good nor bad. */
export function neutralDelta(now, before) {
  if (!before || Math.abs(now / before - 1) < 0.005) return null;
  return h("span.delta", signed(now / before - 1));
}

function signed(change) {
  if (change >= 9.995) return `×${(change + 1).toFixed(0)}`;
  return `${change > 0 ? "+" : "−"}${percent(Math.abs(change))}`;
}

/** What to sort a column by: the change when two are compared, else the value itself. */
export function sortValue(row, value, isCompared) {
  const now = row.a ? value(row.a) : -1;
  if (!isCompared) return now;
  const before = row.b ? value(row.b) : 0;
  return before ? now / before : now > 0 ? Infinity : 0;
}
