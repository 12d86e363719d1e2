/** The whole trace small, on a canvas; dragging over it zooms the waterfall, a double click takes it back. */

import { serviceClass } from "../colours.js";
import { h, oncePerFrame } from "../dom.js";
import { onTheme } from "../theme.js";
import { endOf } from "./tree.js";

const LEAST_DRAG = 4;

/** Return {element, show, close}; `onZoom({from, to})` is called with microseconds, or null for all. */
export function overview(tree, onZoom) {
  const canvas = h("canvas");
  const window = h("div.window");
  const element = h("div.overview", { title: "Drag to zoom, double click for all" }, canvas, window);
  const paint = oncePerFrame(() => draw(canvas, tree));
  const size = new ResizeObserver(paint);
  size.observe(element);
  const forget = onTheme(paint);
  drag(element, window, tree, onZoom);

  function show({ from, to }) {
    const whole = tree.end - tree.start;
    window.hidden = from <= tree.start && to >= tree.end;
    window.style.left = `${((from - tree.start) / whole) * 100}%`;
    window.style.width = `${((to - from) / whole) * 100}%`;
  }
  function close() {
    size.disconnect();
    forget();
  }
  return { element, show, close };
}

function draw(canvas, tree) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const density = devicePixelRatio || 1;
  Object.assign(canvas, { width: width * density, height: height * density });
  const pen = canvas.getContext("2d");
  pen.scale(density, density);
  const colours = new Map();
  const [across, down] = [width / (tree.end - tree.start), (height - 4) / tree.spans.length];
  tree.spans.forEach((span, at) => {
    const name = span.error ? "bad" : serviceClass(span.service);
    if (!colours.has(name)) colours.set(name, colourOf(canvas, name));
    pen.fillStyle = colours.get(name);
    pen.fillRect((span.start - tree.start) * across, 2 + at * down,
      Math.max(1, (endOf(span) - span.start) * across), Math.max(1, Math.min(3, down - 0.5)));
  });
}

function colourOf(canvas, name) {
  const probe = h("i", { class: name });
  canvas.parentElement.append(probe);
  const colour = getComputedStyle(probe).getPropertyValue(name === "bad" ? "--bad" : "--c");
  probe.remove();
  return colour.trim();
}

function drag(element, window, tree, onZoom) {
  let began = null;
  const share = (event) => {
    const box = element.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.x) / box.width));
  };
  element.addEventListener("pointerdown", (event) => {
    began = share(event);
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    if (began === null) return;
    const [low, high] = [began, share(event)].sort((a, b) => a - b);
    window.hidden = false;
    window.style.left = `${low * 100}%`;
    window.style.width = `${(high - low) * 100}%`;
  });
  element.addEventListener("pointerup", (event) => {
    const [low, high] = [began ?? 0, share(event)].sort((a, b) => a - b);
    began = null;
    if ((high - low) * element.clientWidth < LEAST_DRAG) return;
    const whole = tree.end - tree.start;
    onZoom({ from: Math.round(tree.start + low * whole), to: Math.round(tree.start + high * whole) });
  });
  element.addEventListener("dblclick", () => onZoom(null));
}
