/** How many lines of which level over time, of the lines that are shown. */

import { h, s } from "../dom.js";
import { plural } from "../format.js";
import { tick } from "../times.js";
import { levelOf } from "./line.js";

const BARS = 90;
const WIDTH = 900;
const HEIGHT = 56;
const ORDER = ["OTHER", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/** Return the elements; `onPick({from, to})` is called with a bar's microseconds. */
export function histogram(logs, onPick) {
  if (logs.length < 2) return [];
  const times = logs.map((log) => log.at);
  const start = Math.min(...times);
  const step = Math.max(1, (Math.max(...times) - start + 1) / BARS);
  const bars = counted(logs, start, step);
  const most = Math.max(...bars.map((bar) => total(bar)));
  const svg = s("svg.histogram", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
    "aria-label": `${plural(logs.length, "line")} over time` },
  bars.map((bar, at) => column(bar, at, most, () => onPick({
    from: Math.round(start + at * step), to: Math.round(start + (at + 1) * step) }))));
  const moments = [0, 0.25, 0.5, 0.75, 1];
  return [svg, h("div.axis.mono.dim", moments.map((share) => h("span", tick(start + share * BARS * step, BARS * step))))];
}

function counted(logs, start, step) {
  const bars = Array.from({ length: BARS }, () => new Map());
  for (const log of logs) {
    const bar = bars[Math.min(BARS - 1, Math.floor((log.at - start) / step))];
    const level = levelOf(log);
    bar.set(level, (bar.get(level) ?? 0) + 1);
  }
  return bars;
}

function total(bar) {
  return [...bar.values()].reduce((sum, each) => sum + each, 0);
}

function column(bar, at, most, onclick) {
  const width = WIDTH / BARS;
  let top = HEIGHT;
  const parts = ORDER.filter((level) => bar.has(level)).map((level) => {
    const height = (bar.get(level) / most) * HEIGHT;
    top -= height;
    return s("rect", { class: `l-${level}`, x: at * width + 0.5, y: top, width: width - 1, height });
  });
  const words = ORDER.filter((level) => bar.has(level)).map((level) => `${bar.get(level)} ${level}`).join(", ");
  return s("g", { onclick }, s("title", words || "nothing"),
    s("rect.ground", { x: at * width, y: 0, width, height: HEIGHT }), parts);
}
