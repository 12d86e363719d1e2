/** What stands above the waterfall: which call, how it ended, why it took so long, and where to take it. */

import { link } from "../address.js";
import { serviceName } from "../colours.js";
import { copyButton } from "../copy.js";
import { h } from "../dom.js";
import { duration, plural } from "../format.js";
import { legend, strip } from "../phases.js";
import { url } from "../remote.js";
import { moment } from "../times.js";

const FORMATS = [
  ["html", "One HTML file to share"], ["svg", "Picture (SVG)"], ["otlp", "OTLP JSON"], ["jaeger", "Jaeger JSON"],
  ["chrome", "Chrome trace, Perfetto"],
];

/** Return the elements; `onFailed()` is called to step to the first error. */
export function head(trace, onFailed) {
  const root = trace.spans[0];
  const call = trace.spans.find((span) => span.phases) ?? null;
  const errors = trace.spans.filter((span) => span.error).length;
  return [
    h("div.title",
      h("h1", serviceName(root.service), h("span.mono", { title: root.name }, root.name),
        h("b.mono.took", { class: root.error ? "bad" : "" }, duration(root.duration))),
      menu(trace.id)),
    h("p.facts.dim",
      moment(trace.start), h("span", plural(trace.spans.length, "span"), over(trace, root)),
      errors > 0 && h("button.link.bad", { type: "button", onclick: onFailed, title: "To the next error (e)" },
        plural(errors, "error")),
      h("a", { href: link("logs", { trace: trace.id, range: "all" }) }, plural(trace.logs, "log line")),
      h("span.services", services(trace.spans)),
      h("span.id", h("span.mono", trace.id), copyButton(trace.id, "Copy the trace id"),
        copyButton(() => location.href, "Copy a link to what is shown here"))),
    why(trace, root),
    call && h("section.anatomy", { "aria-label": "Phases of the call" },
      call !== root && h("p.dim", "phases of ", h("span.mono", call.name)),
      strip(call.phases, { words: true }), legend(call.phases)),
  ];
}

/** What was sent on the way may go on when the call has ended. */
function over(trace, root) {
  return trace.duration - root.duration > 0.05 ? ` over ${duration(trace.duration)}` : null;
}

function why(trace, root) {
  const sentence = trace.why ?? root.why;
  return h("p.why", { class: root.error ? "bad-edge" : "", hidden: !sentence }, sentence ?? "");
}

/** Add what the console's analysis says: a sentence where the spans had none, and advice. */
export function addExplanation(place, { sentence, advice }) {
  const line = place.querySelector(".why");
  if (line.hidden && sentence) {
    line.textContent = sentence;
    line.hidden = false;
  }
  if (advice?.length) line.after(h("ul.advice", advice.map((each) => h("li", each))));
}

function services(spans) {
  const counts = new Map();
  for (const { service } of spans) counts.set(service, (counts.get(service) ?? 0) + 1);
  return [...counts].map(([name, count]) => h("span.share", serviceName(name), h("span.dim.mono", String(count))));
}

function menu(id) {
  return h("details.menu",
    h("summary.button", "Export"),
    h("div.choices", FORMATS.map(([format, words]) =>
      h("a", { href: url(`trace/${encodeURIComponent(id)}/export`, { format }), download: "" }, words))));
}
