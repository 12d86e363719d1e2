/** The status bar: what is stored, what was lost on the way, and whether the page follows what arrives. */

import { h } from "./dom.js";
import { bytes, plural, short } from "./format.js";
import { addKeys } from "./keys.js";
import { get } from "./remote.js";
import { ago, currentMode, switchMode } from "./times.js";

const POLL_MS = 3000;
const KEY = "tracedrpc.live";
let latest = null;
let isLive = localStorage.getItem(KEY) === "on";

/** Whether anything was ever received; true as long as nobody knows. */
export function hasAnything() {
  return latest === null || latest.spans + latest.logs + latest.metrics > 0;
}

/**
 * Ask every few seconds while the page is seen. `onNews` is called when something arrived and live is on, when
 * the first thing arrived, and when it turns out that there is nothing at all: the view may have said otherwise.
 */
export function startStatus(bar, onNews) {
  const parts = controls();
  bar.append(...parts.all);
  async function ask() {
    if (!document.hidden) await look(parts, onNews);
    setTimeout(ask, POLL_MS);
  }
  addKeys([["l", "live: follow what arrives", parts.toggle]]);
  ask();
}

async function look(parts, onNews) {
  try {
    const status = await get("status");
    const [before, wasEmpty] = [latest, !hasAnything()];
    latest = status;
    parts.say(stored(status), false);
    const isNews = before !== null && stamp(status) !== stamp(before);
    const turnsOutEmpty = before === null && !hasAnything();
    if (turnsOutEmpty || (isNews && (isLive || wasEmpty))) onNews();
  } catch (error) {
    parts.say([h("span.bad", error.message)], true);
  }
}

function stamp(status) {
  return `${status.spans} ${status.logs} ${status.metrics}`;
}

function controls() {
  const live = h("button.live", { type: "button", onclick: toggle, title: "Follow what arrives (l)" });
  const facts = h("div.facts", { "aria-live": "off" });
  const times = h("button.quiet", { type: "button", onclick: turn, title: "How times are written (a)" }, currentMode());
  function turn() {
    times.textContent = switchMode();
  }
  function name() {
    live.setAttribute("aria-pressed", String(isLive));
    live.textContent = isLive ? "live" : "live off";
  }
  function toggle() {
    isLive = !isLive;
    localStorage.setItem(KEY, isLive ? "on" : "off");
    name();
  }
  function say(what, isLost) {
    live.classList.toggle("lost", isLost);
    facts.replaceChildren(...what);
  }
  name();
  return { all: [live, facts, times], say, toggle };
}

function stored(status) {
  return [
    fact(short(status.traces), "traces"), fact(short(status.spans), "spans"), fact(short(status.logs), "logs"),
    fact(bytes(status.bytes), ""), status.oldest ? fact(ago(status.oldest), "oldest", true) : "",
    ...dropped(status.dropped), h("span.version.dim", `v${status.version}`),
  ];
}

function fact(value, noun, before = false) {
  return h("span.fact", before && `${noun} `, h("b.mono", value), !before && ` ${noun}`);
}

function dropped(signals) {
  return Object.entries(signals ?? {}).flatMap(([signal, reasons]) =>
    Object.entries(reasons).filter(([, count]) => count > 0).map(([reason, count]) =>
      h("span.fact.lossy", { title: "These never got into the store." },
        `${plural(count, "dropped item")} of ${signal}: ${reason.replaceAll("_", " ")}`)));
}
