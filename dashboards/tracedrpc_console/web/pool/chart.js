/** Connections of a pool over time: used on idle as areas, the limit as a line, who waits above it. */

import { h, s } from "../dom.js";
import { tick } from "../times.js";

const WIDTH = 720;
const HEIGHT = 120;
const MARGIN = 6;

/** `series` is {used, idle, waiting, max}, each [[microseconds, number], ...]; `from`, `to` the axis. */
export function poolChart(series, { from, to }) {
  const all = Object.values(series).flat();
  if (!all.length) return h("p.dim", "No points in this time.");
  const start = from || Math.min(...all.map(([at]) => at));
  const most = Math.max(1, ...all.map(([, value]) => value), ...stacked(series).map(([, value]) => value));
  const scale = {
    x: (at) => ((at - start) / Math.max(1, to - start)) * WIDTH,
    y: (value) => HEIGHT - (value / most) * (HEIGHT - MARGIN),
  };
  return h("div.chart",
    h("span.most.mono.dim", String(most)),
    s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": `connections over time, at most ${most}` },
      s("path.idle", { d: area(stacked(series), scale) }), s("path.used", { d: area(series.used ?? [], scale) }),
      s("path.limit", { d: steps(series.max ?? [], scale) }), s("path.waiting", { d: steps(series.waiting ?? [], scale) })),
    h("div.axis.mono.dim", [0, 0.5, 1].map((share) => h("span", tick(start + share * (to - start), to - start)))));
}

/** Idle stands on used. */
function stacked({ used = [], idle = [] }) {
  const at = new Map(used);
  return idle.map(([us, value]) => [us, value + (at.get(us) ?? 0)]);
}

function steps(points, { x, y }) {
  return points.map(([at, value], index) => (index ? `H${x(at).toFixed(1)}V${y(value).toFixed(1)}` : `M${x(at).toFixed(1)} ${y(value).toFixed(1)}`)).join("");
}

function area(points, scale) {
  if (!points.length) return "";
  const first = scale.x(points[0][0]).toFixed(1);
  return `${steps(points, scale)}V${HEIGHT}H${first}Z`;
}
