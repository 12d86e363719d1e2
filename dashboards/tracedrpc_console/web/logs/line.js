/** One log line: when, how bad, whose, what; opened, all of its fields. */

import { link, traceLink } from "../address.js";
import { serviceName } from "../colours.js";
import { copyButton } from "../copy.js";
import { h } from "../dom.js";
import { duration, text } from "../format.js";
import { absolute, clock } from "../times.js";

const KNOWN_LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/** Make a line. `since`: write times relative to this moment (microseconds), inside a trace. */
export function logLine(log, { since = null } = {}) {
  const [head, rest] = divided(log);
  const line = h("details.log", { class: `l-${levelOf(log)}`, "data-id": log.id },
    h("summary",
      h("time.mono", { datetime: new Date(log.at / 1000).toISOString(), title: absolute(log.at) },
        since === null ? clock(log.at) : `+${duration(Math.max(0, log.at - since) / 1000)}`),
      h("span.level", log.level || "–"),
      since === null && serviceName(log.service),
      h("span.said.mono", head && h("b", head), rest && ` ${rest}`),
      since === null && log.trace && h("a.to-trace", { href: traceLink(log.trace, { span: log.span }),
        title: "The trace of this line", "aria-label": "Open the trace of this line" }, "trace")));
  line.addEventListener("toggle", () => line.open && line.children.length === 1 && line.append(fields(log)));
  return line;
}

/** Return the class name of a level, "OTHER" for one that nobody knows. */
export function levelOf({ level, severity }) {
  const name = String(level).toUpperCase().replace(/\d$/, "").replace("WARNING", "WARN").replace("CRITICAL", "FATAL");
  if (KNOWN_LEVELS.includes(name)) return name;
  return KNOWN_LEVELS[Math.ceil(severity / 4) - 1] ?? "OTHER";
}

/** An event's line begins with its name, which is shown strong; the fields that follow are dim. */
function divided({ event, body }) {
  if (!event) return ["", body];
  return [event, body.startsWith(event) ? body.slice(event.length).trimStart() : body];
}

function fields(log) {
  const all = Object.entries(log.attributes).sort(([a], [b]) => a.localeCompare(b));
  const field = (name, value, href) => h("tr", h("th", { scope: "row" }, name),
    h("td", h("span.value", text(value)), h("span.tools", copyButton(text(value), `Copy ${name}`),
      href && h("a", { href, title: "Lines with the same value", "aria-label": `Lines with the same ${name}` }, "⌕"))));
  return h("div.opened", h("p.body.mono", log.body, copyButton(log.body, "Copy the line")),
    h("table.attributes", h("tbody",
      field("time", absolute(log.at)), field("service", log.service, link("logs", { service: log.service })),
      log.trace && field("trace", log.trace, link("logs", { trace: log.trace, range: "all" })),
      log.span && field("span", log.span),
      all.map(([key, value]) => field(key, value, /\s/.test(text(value)) ? null
        : link("logs", { attr: `${key}=${text(value)}`, range: "all" }))))));
}
