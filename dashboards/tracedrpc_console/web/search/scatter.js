/** Traces as points: when they began, how long they took (logarithmic), how they ended. Dragging narrows. */

import { traceLink } from "../address.js";
import { h, s } from "../dom.js";
import { duration, plural } from "../format.js";
import { absolute, tick } from "../times.js";

const WIDTH = 1000;
const HEIGHT = 150;
const LEFT = 6;
const BOTTOM = 18;
const LEAST_DRAG = 6;
const SIGNS = { ok: ["ok", "ok"], error: ["error", "errors"], timeout: ["time-out", "time-outs"] };

/** Return the elements of the plot; `onNarrow({from, to, min, max})` is called after dragging a frame. */
export function scatter(points, { from, to }, onNarrow) {
  if (!points.length) return [];
  const start = from || Math.min(...points.map(([at]) => at));
  const scale = scales(points, start, to);
  const tip = h("div.tip", { hidden: true });
  const svg = s("svg.scatter", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
    "aria-label": `${plural(points.length, "trace")} by time and duration; the list below has the same` },
  durationLines(scale), points.map((point) => mark(point, scale)));
  const place = h("div.area", svg, labels(scale, start, to), tip);
  describe(svg, points, tip, place);
  drag(svg, scale, onNarrow);
  return [place, key(points)];
}

function scales(points, start, end) {
  const lengths = points.map(([, ms]) => Math.max(0.01, ms));
  const low = 10 ** Math.floor(Math.log10(Math.min(...lengths)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...lengths) * 1.05));
  const [decades, floor] = [Math.log10(high / low) || 1, HEIGHT - BOTTOM];
  return {
    low, high,
    x: (at) => LEFT + ((at - start) / Math.max(1, end - start)) * (WIDTH - LEFT - 8),
    y: (ms) => floor - (Math.log10(Math.max(low, ms) / low) / decades) * (floor - 8),
    at: (x) => Math.round(start + ((x - LEFT) / (WIDTH - LEFT - 8)) * (end - start)),
    ms: (y) => low * 10 ** (((floor - y) / (floor - 8)) * decades),
  };
}

/** A point is a line without length: round ends keep it round however the picture is stretched. */
function mark([at, ms, outcome], scale) {
  const [x, y] = [scale.x(at).toFixed(1), scale.y(ms).toFixed(1)];
  return s("path.point", { class: `o-${outcome}`, d: `M${x} ${y}h0` });
}

function decadesOf({ low, high }) {
  const found = [];
  for (let ms = low; ms <= high * 1.001; ms *= 10) found.push(ms);
  return found;
}

function durationLines(scale) {
  return decadesOf(scale).map((ms) =>
    s("line.grid", { x1: LEFT, x2: WIDTH, y1: scale.y(ms), y2: scale.y(ms) }));
}

function labels(scale, start, end) {
  const moments = [0, 0.25, 0.5, 0.75, 1].map((share) => start + share * (end - start));
  return [
    decadesOf(scale).map((ms) => h("span.y", { style: { top: `${(scale.y(ms) / HEIGHT) * 100}%` } },
      duration(ms).replace(/\.0+ /, " "))),
    moments.map((at, index) => h("span.x", { class: `x${index}`, style: { left: `${(scale.x(at) / WIDTH) * 100}%` } },
      tick(at, end - start))),
  ];
}

function key(points) {
  const counts = Object.keys(SIGNS).map((outcome) => [outcome, points.filter((point) => point[2] === outcome).length]);
  return h("p.key.dim", counts.filter(([, count]) => count > 0).map(([outcome, count]) =>
    h("span", { class: `o-${outcome}` }, h("i"), `${count} ${SIGNS[outcome][count === 1 ? 0 : 1]}`)),
  h("span.hint", "drag a frame to narrow"));
}

function describe(svg, points, tip, place) {
  const marks = [...svg.querySelectorAll(".point")];
  svg.addEventListener("pointerover", (event) => {
    const index = marks.indexOf(event.target);
    tip.hidden = index < 0;
    if (index < 0) return;
    const [at, ms, outcome] = points[index];
    tip.replaceChildren(h("b.mono", duration(ms)), ` ${SIGNS[outcome]?.[0] ?? outcome}, ${absolute(at)}`);
    const [box, spot] = [place.getBoundingClientRect(), event.target.getBoundingClientRect()];
    tip.style.left = `${Math.min(spot.x - box.x, box.width - 240)}px`;
    tip.style.top = `${spot.y - box.y + 12}px`;
  });
  svg.addEventListener("click", (event) => {
    const index = marks.indexOf(event.target);
    if (index >= 0) location.hash = traceLink(points[index][3]);
  });
}

function drag(svg, scale, onNarrow) {
  const frame = s("rect.frame");
  let began = null;
  const spot = (event) => {
    const box = svg.getBoundingClientRect();
    return [((event.clientX - box.x) / box.width) * WIDTH, ((event.clientY - box.y) / box.height) * HEIGHT];
  };
  const sides = (event) => {
    const [x, y] = spot(event);
    return { x: Math.min(x, began[0]), y: Math.min(y, began[1]), width: Math.abs(x - began[0]), height: Math.abs(y - began[1]) };
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && !event.target.classList.contains("point")) began = spot(event);
  });
  svg.addEventListener("pointermove", (event) => {
    if (!began) return;
    if (!svg.hasPointerCapture(event.pointerId)) svg.setPointerCapture(event.pointerId);
    svg.append(frame);
    for (const [name, value] of Object.entries(sides(event))) frame.setAttribute(name, value);
  });
  svg.addEventListener("pointerup", (event) => {
    if (!began) return;
    const { x, y, width, height } = sides(event);
    began = null;
    frame.remove();
    if (width < LEAST_DRAG || height < LEAST_DRAG) return;
    onNarrow({ from: scale.at(Math.max(LEFT, x)), to: scale.at(x + width),
      min: `${scale.ms(y + height).toPrecision(3)}ms`, max: `${scale.ms(Math.max(0, y)).toPrecision(3)}ms` });
  });
}
