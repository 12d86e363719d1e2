/**
 * Elements without markup: every text becomes a text node, so nothing that was received can become code.
 * Widths and positions go through the CSSOM, because the page's policy forbids style attributes.
 */

const SVG = "http://www.w3.org/2000/svg";

/** Make an HTML element: `h("button.quiet", { onclick }, "Copy")`. Falsy children are left out. */
export function h(selector, ...rest) {
  const [tag, ...classes] = selector.split(".");
  return furnish(document.createElement(tag || "div"), classes, rest);
}

/** Make an SVG element in the same way. */
export function s(selector, ...rest) {
  const [tag, ...classes] = selector.split(".");
  return furnish(document.createElementNS(SVG, tag), classes, rest);
}

function furnish(element, classes, rest) {
  if (classes.length) element.classList.add(...classes);
  const children = isProperties(rest[0]) ? rest.slice(1) : rest;
  if (isProperties(rest[0])) {
    for (const [name, value] of Object.entries(rest[0])) put(element, name, value);
  }
  element.append(...children.flat(Infinity).filter(isShown));
  return element;
}

function isProperties(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) && !(value instanceof Node);
}

function isShown(child) {
  return child !== null && child !== undefined && child !== false && child !== "";
}

function put(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
  else if (name === "class") element.classList.add(...value.split(" ").filter(Boolean));
  else if (name === "value") element.value = value;
  else element.setAttribute(name, value === true ? "" : value);
}

/** Call `task` once in the next frame, however often it is asked for until then. */
export function oncePerFrame(task) {
  let asked = 0;
  return () => {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      task();
    });
  };
}

/** Call `task` when `ms` milliseconds have passed without another request. */
export function whenQuiet(ms, task) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(task, ms, ...args);
  };
}
