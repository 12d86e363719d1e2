/** The service map as an SVG: services as boxes, queues as pills, edges with rates and errors. */

import { serviceClass } from "../colours.js";
import { h, s } from "../dom.js";
import { duration, percent, plural, rate } from "../format.js";
import { layered } from "./layout.js";

const BOX = { width: 160, height: 44 };
const PILL = { width: 136, height: 24 };
const PASS = { height: 16 };
const GAP_X = 76;
const GAP_Y = 30;
const EDGE = 22;
const CHARS = { service: 18, queue: 18 };

/** Return the picture; `onPick(name)` is called for a service. */
export function picture(nodes, edges, seconds, onPick) {
  const kinds = new Map(nodes.map(({ name, kind }) => [name, kind]));
  const { layers, ways } = layered([...kinds.keys()], edges);
  const { spots, width, height } = placed(layers, kinds);
  const byName = new Map([...spots].map(([item, spot]) => [item.name, spot]));
  const most = Math.max(1, ...edges.map(({ calls }) => calls));
  const drawn = edges.filter(({ from, to }) => byName.has(from) && byName.has(to)).map((edge) => ({
    edge, points: pointsOf(edge, ways.get(edge), spots, byName, height) }));
  const svg = s("svg.service-map", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group",
    "aria-label": `${plural(nodes.length, "node")}, ${plural(edges.length, "edge")}; the table below has the same` },
  s("defs", arrow("arrow", ""), arrow("arrow-bad", "bad")),
  drawn.map(({ edge, points }) => lineOf(edge, points, most)),
  nodes.map((node) => nodeOf(node, byName.get(node.name), { seconds, onPick })),
  drawn.map(({ edge, points }) => wordsOf(edge, points, seconds)));
  highlight(svg, edges);
  return h("div.scroll", svg);
}

/** Give every item of the layout a rectangle; a layer is as wide as its widest, and centred in height. */
function placed(layers, kinds) {
  const shape = ({ name }) => (name === null ? PASS : kinds.get(name) === "queue" ? PILL : BOX);
  const heights = layers.map((layer) => layer.reduce((sum, item) => sum + shape(item).height + GAP_Y, -GAP_Y));
  const height = Math.max(...heights) + 2 * EDGE + 16;
  const spots = new Map();
  let x = EDGE;
  layers.forEach((layer, at) => {
    const widest = Math.max(...layer.map((item) => shape(item).width ?? 0));
    let y = (height - heights[at]) / 2;
    for (const item of layer) {
      const own = { width: widest, ...shape(item) };
      spots.set(item, { ...own, x: x + (widest - own.width) / 2, y });
      y += own.height + GAP_Y;
    }
    x += widest + GAP_X;
  });
  return { spots, width: x - GAP_X + EDGE, height };
}

/** Return the points that an edge's line goes through, left and right ends of what it passes. */
function pointsOf({ from, to }, way, spots, byName, height) {
  const [start, end] = [byName.get(from), byName.get(to)];
  const [first, last] = [{ x: start.x + start.width, y: start.y + start.height / 2 }, { x: end.x - 3, y: end.y + end.height / 2 }];
  if (!way) return { isBack: true, line: [first, { x: (first.x + last.x) / 2, y: height - 10 }, last] };
  const passed = way.slice(1, -1).map((item) => spots.get(item));
  return { isBack: false, line: [first, ...passed.flatMap(({ x, y, width, height: tall }) => [
    { x, y: y + tall / 2 }, { x: x + width, y: y + tall / 2 }]), last] };
}

function curve({ isBack, line }) {
  const [{ x, y }, ...rest] = line;
  if (isBack) return backCurve(line);
  let [d, last] = [`M${x} ${y}`, line[0]];
  for (const point of rest) {
    const pull = (point.x - last.x) / 2;
    d += `C${last.x + pull} ${last.y} ${point.x - pull} ${point.y} ${point.x} ${point.y}`;
    last = point;
  }
  return d;
}

/** An edge that leads back goes around below everything. */
function backCurve([first, low, last]) {
  const [right, left] = [first.x + 34, last.x - 18];
  return `M${first.x} ${first.y}C${right} ${first.y} ${right} ${low.y} ${first.x - 40} ${low.y}` +
    `H${last.x + 40}C${left} ${low.y} ${left} ${last.y} ${last.x} ${last.y}`;
}

function arrow(id, name) {
  return s("marker", { id, class: name, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8,
    markerUnits: "userSpaceOnUse", orient: "auto" }, s("path", { d: "M0 0.8 7.5 4 0 7.2z" }));
}

function lineOf(edge, points, most) {
  const isBad = edge.errors > 0;
  return s("g.edge", { "data-from": edge.from, "data-to": edge.to, class: isBad ? "bad" : "" },
    s("path", { d: curve(points), "stroke-width": 1 + 2.5 * Math.sqrt(edge.calls / most),
      "marker-end": `url(#${isBad ? "arrow-bad" : "arrow"})` }));
}

/** The words stand over the end of the first stretch, where edges are farthest apart. */
function wordsOf(edge, { isBack, line }, seconds) {
  const [near, far] = line;
  const at = isBack ? { x: far.x, y: far.y - 5 } : { x: near.x + (far.x - near.x) * 0.62, y: near.y + (far.y - near.y) * 0.72 - 6 };
  return s("g.edge.words", { "data-from": edge.from, "data-to": edge.to },
    s("title", `${edge.from} → ${edge.to}: ${plural(edge.calls, "call")}, ${plural(edge.errors, "error")}${edge.p95 ? `, p95 ${duration(edge.p95)}` : ""}`),
    s("text", { x: at.x, y: at.y, "text-anchor": "middle" }, seconds ? rate(edge.calls / seconds) : plural(edge.calls, "call")),
    edge.errors > 0 && s("text.bad", { x: at.x, y: at.y + 18, "text-anchor": "middle" }, percent(edge.errors / edge.calls)));
}

function nodeOf(node, { x, y, width, height }, { seconds, onPick }) {
  const isQueue = node.kind === "queue";
  const pick = () => !isQueue && onPick(node.name);
  return s("g.node", { "data-name": node.name, class: `${isQueue ? "queue" : "box"} ${isQueue ? "" : serviceClass(node.name)}`,
    transform: `translate(${x} ${y})`, tabindex: 0, role: isQueue ? "img" : "link",
    "aria-label": `${node.kind} ${node.name}: ${plural(node.calls, "call")}, ${plural(node.errors, "error")}`,
    onclick: pick, onkeydown: (event) => event.key === "Enter" && pick() },
  s("title", node.name), s("rect", { width, height, rx: isQueue ? height / 2 : 6 }),
  isQueue ? s("text.name", { x: width / 2, y: 16, "text-anchor": "middle" }, cut(node.name, CHARS.queue)) : insides(node, height, seconds));
}

function insides(node, height, seconds) {
  const share = node.calls ? node.errors / node.calls : 0;
  return [
    s("rect.edge-of", { width: 4, height: height - 14, x: 7, y: 7, rx: 2 }),
    s("text.name", { x: 19, y: 18 }, cut(node.name, CHARS.service)),
    s("text.facts", { x: 19, y: 35 }, node.calls === 0 ? "nobody calls it" : seconds ? rate(node.calls / seconds) : plural(node.calls, "call"),
      share > 0 && s("tspan.bad", { dx: 8 }, `${percent(share)} errors`)),
  ];
}

function cut(name, most) {
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
}

/** Pointing at a node leaves only its neighbours strong. */
function highlight(svg, edges) {
  const touching = (name) => edges.filter(({ from, to }) => from === name || to === name);
  const point = (name) => {
    const near = new Set([name, ...touching(name).flatMap(({ from, to }) => [from, to])]);
    svg.classList.toggle("pointed", name !== null);
    for (const node of svg.querySelectorAll(".node")) node.classList.toggle("near", near.has(node.dataset.name));
    for (const edge of svg.querySelectorAll(".edge")) {
      edge.classList.toggle("near", edge.dataset.from === name || edge.dataset.to === name);
    }
  };
  for (const node of svg.querySelectorAll(".node")) {
    for (const event of ["pointerenter", "focus"]) node.addEventListener(event, () => point(node.dataset.name));
    for (const event of ["pointerleave", "blur"]) node.addEventListener(event, () => point(null));
  }
}
