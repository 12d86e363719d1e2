/** Logs: full text and fields, how many over time, and the live tail. */

import { changed, go, link, note } from "../address.js";
import { h } from "../dom.js";
import { nothingFound, nothingYet } from "../empty.js";
import { choiceField, fill, searchField, setOptions, textField, values, watch } from "../fields.js";
import { plural } from "../format.js";
import { rangePicker, stretch } from "../range.js";
import { get, loader } from "../remote.js";
import { hasAnything } from "../status.js";
import { histogram } from "./histogram.js";
import { logLine } from "./line.js";
import { Tail } from "./tail.js";

const PAGE = 300;
const MOST_TAILED = 500;
const PLAIN = ["q", "service", "level", "event", "trace", "span"];
const ANY_SERVICE = [["", "any service"]];
const LEVELS = [["", "any level"], ["DEBUG", "debug and worse"], ["INFO", "info and worse"], ["WARN", "warn and worse"], ["ERROR", "errors"]];

export function open(root) {
  const range = rangePicker(ask);
  const form = questionForm(range);
  const tailButton = h("button.tail", { type: "button", title: "Follow the log (f)", onclick: switchTail });
  const pauseButton = h("button", { type: "button", title: "Pause (p)", onclick: pause });
  const state = h("span.dim", { role: "status" });
  const plot = h("section.plot", { "aria-label": "Lines over time" });
  const list = h("section.log-list", { "aria-label": "Log lines" });
  const more = h("button.older", { type: "button", hidden: true, onclick: () => older().catch((error) => { more.textContent = error.message; }) });
  const load = loader(list, drawPage);
  let params = new URLSearchParams();
  let logs = [];
  let next = null;
  let tail = null;
  form.querySelector(".first").append(tailButton, pauseButton);
  root.append(form, h("p.state", state), plot, list, more);
  watch(form, (event) => {
    if (!range.element.contains(event?.target ?? null)) ask(changed(params, values(form, ["attr"])));
  });

  function ask(asked) {
    const href = link("logs", asked);
    if (!document.activeElement?.matches("input")) return go(href);
    note(href);
    show({ params: asked });
  }

  function show(address) {
    params = address.params;
    fill(form, params);
    range.show(params);
    const isTailing = params.get("tail") === "1";
    range.element.hidden = isTailing;
    tailButton.setAttribute("aria-pressed", String(isTailing));
    tailButton.textContent = isTailing ? "■ stop following" : "▶ follow";
    pauseButton.hidden = !isTailing;
    refresh();
  }

  function refresh() {
    tail?.close();
    tail = null;
    if (params.get("tail") === "1") return follow();
    load((signal) => get("logs", question(params, true), signal));
  }

  function follow() {
    load.stop();
    [logs, next] = [[], null];
    list.replaceChildren(h("p.dim.waiting", "Lines appear here as they arrive."));
    more.hidden = true;
    plot.replaceChildren();
    pauseButton.textContent = "pause";
    tail = new Tail(question(params, false), prepend, ({ text, isBad }) => {
      state.textContent = text;
      state.classList.toggle("bad", isBad);
    });
  }

  function prepend(fresh) {
    list.querySelector(".waiting")?.remove();
    logs = [...fresh, ...logs].slice(0, MOST_TAILED);
    list.prepend(...fresh.slice(0, MOST_TAILED).map((log) => logLine(log)));
    while (list.children.length > MOST_TAILED) list.lastElementChild.remove();
    plot.replaceChildren(...histogram(logs, pick));
  }

  function drawPage(page) {
    logs = [];
    list.replaceChildren();
    if (page.logs.length) return add(page);
    [state.textContent, more.hidden] = ["", true];
    plot.replaceChildren();
    list.append(hasAnything() ? nothing() : nothingYet());
  }

  function add(page) {
    logs.push(...page.logs);
    list.append(...page.logs.map((log) => logLine(log)));
    ({ next } = page);
    more.hidden = !next;
    more.textContent = "Older lines";
    state.textContent = next ? `the newest ${plural(logs.length, "line")}; there are older ones` : plural(logs.length, "line");
    plot.replaceChildren(...histogram(logs, pick));
  }

  async function older() {
    add(await get("logs", changed(question(params, true), { before: next })));
  }

  function pick(stretchUs) {
    go(link("logs", changed(params, { range: null, tail: null, ...stretchUs })));
  }

  function nothing() {
    return nothingFound("No line is like that",
      h("a.button", { href: link("logs", changed(params, { range: "all", from: null, to: null })) }, "Look at everything stored"),
      h("a.button", { href: link("logs") }, "Take the filters away"));
  }

  function switchTail() {
    go(link("logs", changed(params, { tail: tail ? null : "1" })));
  }

  function pause() {
    if (!tail) return;
    tail.pause(!tail.isPaused);
    pauseButton.textContent = tail.isPaused ? "go on" : "pause";
  }

  function step(by) {
    const lines = [...list.querySelectorAll("details.log > summary")];
    const at = lines.indexOf(document.activeElement);
    lines[Math.min(lines.length - 1, Math.max(0, at + by))]?.focus();
  }

  function close() {
    load.stop();
    tail?.close();
  }

  const keys = [
    ["j or ArrowDown", "next line", () => step(1)], ["k or ArrowUp", "line before", () => step(-1)],
    ["f", "follow the log, or stop", switchTail], ["p", "pause following", pause],
    ["e", "errors only", () => go(link("logs", changed(params, { level: params.get("level") === "ERROR" ? null : "ERROR" })))],
    ["0", "take all filters away", () => go(link("logs"))],
  ];
  return { show, refresh, follow: () => !tail && !logs.length && refresh(), close, keys };
}

function questionForm(range) {
  const form = h("form.filters", { role: "search", autocomplete: "off" },
    h("div.first", searchField("q", "Search", "Words in the line, the event, any field"), range.element),
    h("details.more", { open: matchMedia("(min-width: 700px)").matches },
      h("summary", "Filters"),
      h("div.second",
        choiceField("service", "Service", ANY_SERVICE), choiceField("level", "Level", LEVELS),
        textField("event", "Event", { placeholder: "call_timed_out" }),
        textField("trace", "Trace", { placeholder: "trace id" }),
        textField("attr", "Attributes", { placeholder: "key=value key=value" }))));
  get("services").then(({ services }) => setOptions(form.elements.service,
    [...ANY_SERVICE, ...services.map(({ name }) => [name, name])])).catch(() => null);
  return form;
}

/** Return what the API is asked; the tail has no end in time. */
function question(params, isPage) {
  const asked = new URLSearchParams();
  for (const name of PLAIN) if (params.get(name)) asked.set(name, params.get(name));
  for (const pair of params.getAll("attr")) if (pair.includes("=")) asked.append("attr", pair);
  if (!isPage) return asked;
  const { from, to } = stretch(params);
  if (from) asked.set("from", Math.round(from));
  if (from || params.has("to")) asked.set("to", Math.round(to));
  asked.set("limit", PAGE);
  return asked;
}
