/** Buttons that copy a text. */

import { h, s } from "./dom.js";

const SAID_MS = 1200;

/** Make a button that copies `text`, a string or a function that returns one. */
export function copyButton(text, label = "Copy") {
  const button = h("button.copy", { type: "button", title: label, "aria-label": label, onclick: copy }, sheets());
  async function copy(event) {
    event.stopPropagation();
    await write(typeof text === "function" ? text() : text);
    button.textContent = "✓";
    button.setAttribute("aria-label", "Copied");
    setTimeout(() => {
      button.replaceChildren(sheets());
      button.setAttribute("aria-label", label);
    }, SAID_MS);
  }
  return button;
}

function sheets() {
  return s("svg", { viewBox: "0 0 14 14", width: 12, height: 12, "aria-hidden": "true" },
    s("path", { d: "M9.5 4.5v-3h-8v8h3M4.5 4.5h8v8h-8z", fill: "none", stroke: "currentColor" }));
}

/** The clipboard needs a secure context; over plain HTTP to another host there is only the old way. */
async function write(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = h("textarea.offscreen", { value: text, "aria-hidden": "true" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
