/** The phases of a call, in the order of its way, as a bar to scale with its legend. */

import { h } from "./dom.js";
import { duration, percent } from "./format.js";

/** What each phase is; `tracedrpc.anatomy.Phase` has the same list. */
export const PHASES = {
  prepare: "serializing and encoding",
  connect: "making connections that were missing",
  acquire: "waiting for a connection of the pool",
  publish: "handing the message over",
  unroutable: "the broker had no queue for it",
  confirm: "waiting for the broker's confirm",
  queue: "the request on the network and in its queue",
  dispatch: "delivered, waiting for a worker",
  handler: "in the endpoint's method",
  reply: "encoding the result",
  return: "the reply on its way back",
  remote: "queue, server and return; nobody says how they divide",
  wakeup: "waking the caller's thread",
  finish: "decoding the result",
};
const WAITS = new Set(["acquire", "queue", "unroutable", "dispatch"]);
const LEAST_IN_LEGEND = 0.005;

/** Return [phase, ms] pairs in the order of the way, without empty ones and without strangers. */
export function inOrder(phases) {
  return Object.keys(PHASES).filter((name) => phases?.[name] > 0).map((name) => [name, phases[name]]);
}

/** Return a strip to scale. `whole` is what its full width stands for, the phases' sum by default. */
export function strip(phases, { whole = null, words = false } = {}) {
  const pairs = inOrder(phases);
  const sum = whole ?? pairs.reduce((total, [, ms]) => total + ms, 0);
  const label = pairs.map(([name, ms]) => `${name} ${duration(ms)}`).join(", ");
  return h("div.strip", { role: "img", "aria-label": `phases: ${label}` }, pairs.map(([name, ms]) =>
    h("i", {
      class: segmentClass(name), title: `${name} ${duration(ms)}: ${PHASES[name]}`,
      style: { width: `${Math.min(100, (ms / sum) * 100)}%` },
    }, words && ms / sum > 0.09 && h("b", name))));
}

/** Return the phases' names, times and shares, the longest ones strong. */
export function legend(phases) {
  const pairs = inOrder(phases);
  const sum = pairs.reduce((total, [, ms]) => total + ms, 0);
  return h("ul.legend", pairs.filter(([, ms]) => ms / sum >= LEAST_IN_LEGEND).map(([name, ms]) =>
    h("li", { title: PHASES[name] },
      h("i", { class: segmentClass(name) }), name, " ",
      h("b.mono", duration(ms)), " ", h("span.dim.mono", percent(ms / sum)))));
}

/** Phases in which nothing of anybody's ran are hatched. */
function segmentClass(name) {
  return WAITS.has(name) ? `p-${name} wait` : `p-${name}`;
}
