/** The methods table: a row each, columns to sort by, two numbers in a cell when two are compared. */

import { link } from "../address.js";
import { h } from "../dom.js";
import { count, duration, percent, plural, rate } from "../format.js";
import { strip } from "../phases.js";
import { delta, neutralDelta, sortValue } from "./compare.js";

const share = (stats) => (stats.count ? stats.errors / stats.count : 0);
/** [key, title, value, how to write it, how to compare it] */
const COLUMNS = [
  ["count", "calls", (stats) => stats.count, count, neutralDelta],
  ["rate", "rate", (stats) => stats.rate, rate, neutralDelta],
  ["errors", "errors", share, percent, delta],
  ["p50", "p50", (stats) => stats.p50, duration, delta],
  ["p95", "p95", (stats) => stats.p95, duration, delta],
  ["p99", "p99", (stats) => stats.p99, duration, delta],
];

/** Return the table; `sort` is a column's key, with "-" before it for the other way round. */
export function methodsTable(rows, { sort, isCompared, asked, onSort }) {
  return h("table.methods", { class: isCompared ? "compared" : "" },
    h("thead", h("tr", heading("method", "method", sort, onSort),
      COLUMNS.map(([key, title]) => heading(key, title, sort, onSort)), h("th.phases", "where a call's time goes"))),
    h("tbody", sorted(rows, sort, isCompared).map((row) => line(row, isCompared, asked))));
}

function heading(key, title, sort, onSort) {
  const isThis = sort.replace("-", "") === key;
  const goes = sort.startsWith("-") ? "ascending" : "descending";
  return h("th", { "aria-sort": isThis && goes, class: `c-${key}` },
    h("button.link", { type: "button", onclick: () => onSort(isThis && !sort.startsWith("-") ? `-${key}` : key) },
      title, isThis && h("span", { "aria-hidden": "true" }, goes === "descending" ? " ↓" : " ↑")));
}

function sorted(rows, sort, isCompared) {
  const key = sort.replace("-", "");
  const column = COLUMNS.find(([name]) => name === key);
  const way = sort.startsWith("-") ? -1 : 1;
  if (!column) return rows.toSorted((x, y) => way * x.method.localeCompare(y.method));
  return rows.toSorted((x, y) => way * (sortValue(y, column[2], isCompared) - sortValue(x, column[2], isCompared) || 0));
}

function line(row, isCompared, asked) {
  return h("tr",
    h("th", { scope: "row" }, h("a.mono", { href: link("search", { ...asked, method: row.method }) }, row.method),
      row.mode !== "call" && h("span.mode", row.mode), timeouts(row.a)),
    COLUMNS.map(([key, title, value, write, compare]) => cell(row, { key, title, value, write, compare }, isCompared)),
    h("td.phases", stacks(row, isCompared)));
}

function cell(row, { key, title, value, write, compare }, isCompared) {
  const now = row.a ? value(row.a) : null;
  const before = row.b ? value(row.b) : null;
  return h("td.mono", { class: `c-${key} ${key === "errors" && now > 0 ? "bad" : ""}`, "data-title": title },
    now === null ? h("span.dim", "–") : h("span.now", write(now)),
    isCompared && h("span.before", compare(now, before), h("span.dim", before === null ? "none" : write(before))));
}

/** The mean phases as shares of the whole, so that methods quick and slow can be read alike. */
function stacks(row, isCompared) {
  return [row.a && h("div.stack", strip(row.a.phases)), isCompared && row.b && h("div.stack.then", strip(row.b.phases))];
}

function timeouts(stats) {
  const phases = Object.entries(stats?.timeouts ?? {}).filter(([, number]) => number > 0);
  if (!phases.length) return null;
  return h("span.timeouts", { title: "where calls died of a time-out" },
    phases.map(([phase, number]) => `${plural(number, "time-out")} in ${phase}`).join(", "));
}
