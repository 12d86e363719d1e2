/** The log lines of a span in the order of time, of what is below it too, with a search in them. */

import { h } from "../dom.js";
import { plural } from "../format.js";
import { logLine } from "../logs/line.js";

const MOST = 300;

export function spanLogs(tree, at, loadLogs) {
  const count = h("span.dim.mono");
  const lines = h("div.lines");
  const field = h("input", { type: "text", placeholder: "Find in these lines", "aria-label": "Find in these log lines", oninput: draw });
  const below = h("input", { type: "checkbox", checked: true, onchange: draw });
  const ids = new Set(tree.spans.slice(at, tree.ends[at]).map((span) => span.id));
  let logs = [];

  function draw() {
    const words = field.value.toLowerCase();
    const mine = logs.filter((log) => (below.checked ? ids.has(log.span) : log.span === tree.spans[at].id));
    const found = mine.filter((log) => !words || `${log.body} ${JSON.stringify(log.attributes)}`.toLowerCase().includes(words));
    count.textContent = String(mine.length);
    lines.replaceChildren(...found.slice(0, MOST).map((log) => logLine(log, { since: tree.start })),
      ...left(found.length, mine.length));
  }
  loadLogs().then((all) => {
    logs = all;
    draw();
  }).catch((error) => lines.replaceChildren(h("p.bad", error.message)));
  return h("details.part.logs", { open: true }, h("summary", "Logs", count),
    h("div.tools", field, tree.hasChildren(at) && h("label.tick", below, "with the spans below")), lines);
}

function left(found, all) {
  if (!all) return [h("p.dim", "Nothing was logged here.")];
  if (!found) return [h("p.dim", "No line has these words.")];
  return found > MOST ? [h("p.dim", `and ${plural(found - MOST, "more line")}`)] : [];
}
