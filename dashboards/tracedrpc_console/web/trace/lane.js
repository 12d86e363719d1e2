/** The time side of a row: wait, bar, phases, critical path and marks. */

import { h } from "../dom.js";
import { duration } from "../format.js";
import { strip } from "../phases.js";
import { endOf, isWait } from "./tree.js";

const HEARTBEATS = ["heartbeat_received", "heartbeat_sent"];
const LEAST_PERCENT_FOR_PHASES = 1.5;
const MOST_MARKS = 60;

/** Return what is drawn of a span; `zoom` is {from, to} in microseconds. */
export function lane(tree, at, zoom, withCritical) {
  const span = tree.spans[at];
  const x = (us) => ((us - zoom.from) / (zoom.to - zoom.from)) * 100;
  const [left, right] = [x(span.start), x(endOf(span))];
  const wait = tree.wait(at);
  return [
    wait && h("i.waited", { title: `on the way and in the queue: ${duration((wait.to - wait.from) / 1000)}`,
      style: stretch(x(wait.from), x(wait.to)) }),
    bar(span, left, right),
    withCritical && (tree.critical.get(span.id) ?? []).map(({ from, to }) =>
      h("i.critical", { style: stretch(x(from), x(to)) })),
    span.events.slice(0, MOST_MARKS).map((event) => mark(event, x(event.at))),
  ];
}

function stretch(left, right) {
  const [from, to] = [Math.max(-1, left), Math.min(101, right)];
  return { left: `${from}%`, width: `${Math.max(0, to - from)}%` };
}

function bar(span, left, right) {
  const shown = span.phases && right - left > LEAST_PERCENT_FOR_PHASES;
  return h("div.bar", { class: `${isWait(span) ? "wait" : ""} ${span.error ? "failed" : ""}`,
    style: { left: `${left}%`, width: `${right - left}%` } }, shown && strip(span.phases, { whole: span.duration }));
}

function mark(event, x) {
  const kind = HEARTBEATS.includes(event.name) ? "beat" : event.name === "exception" ? "exception" : "other";
  return h("i.mark", { class: kind, title: event.name, style: { left: `${x}%` } });
}
