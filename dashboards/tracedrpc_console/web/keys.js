/** The keyboard: single keys and `g` followed by one; `?` lists them all. */

import { h } from "./dom.js";

const SEQUENCE_MS = 1200;
const always = [];
let ofView = [];
let prefix = { key: "", at: 0 };

/** Add keys that work on every view. A key is [name, what it does, action]; "g s" is a sequence. */
export function addKeys(keys) {
  always.push(...keys);
}

/** Set the keys of the view that is shown now. */
export function setViewKeys(keys) {
  ofView = keys;
}

export function listen() {
  document.addEventListener("keydown", pressed);
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const waiting = performance.now() - prefix.at < SEQUENCE_MS ? prefix.key : "";
  const name = waiting ? `${waiting} ${event.key}` : event.key;
  const known = [...ofView, ...always];
  const hit = known.find(([keys]) => keys.split(" or ").includes(name));
  const begins = !waiting && known.some(([keys]) => keys.startsWith(`${event.key} `) && !keys.includes(" or "));
  prefix = { key: begins ? event.key : "", at: performance.now() };
  if (!hit || hit[2](event) === false) return;
  event.preventDefault();
}

function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, select, textarea"));
}

/** Show every key there is. */
export function showHelp() {
  const dialog = h("dialog.help", { "aria-labelledby": "help-title", onclose: () => dialog.remove() },
    h("header", h("h2", { id: "help-title" }, "Keyboard"),
      h("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    table("On this view", ofView), table("Everywhere", always));
  document.body.append(dialog);
  dialog.showModal();
}

function table(title, keys) {
  if (!keys.length) return null;
  return h("section", h("h3", title), h("dl", keys.map(([names, what]) => [
    h("dt", names.split(" or ").map((name, at) => [at > 0 && " or ", h("kbd", SHOWN[name] ?? name)])),
    h("dd", what)])));
}

const SHOWN = { ArrowDown: "↓", ArrowUp: "↑", ArrowLeft: "←", ArrowRight: "→", Escape: "Esc" };
