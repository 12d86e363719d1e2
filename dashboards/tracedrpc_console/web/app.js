/** The page: draws the view that the address names, the navigation above it and the status below. */

import { go, link, read } from "./address.js";
import { h } from "./dom.js";
import { addKeys, listen, setViewKeys, showHelp } from "./keys.js";
import * as logs from "./logs/view.js";
import * as map from "./map/view.js";
import * as methods from "./methods/view.js";
import * as pool from "./pool/view.js";
import * as search from "./search/view.js";
import { startStatus } from "./status.js";
import { applyTheme, isDark, switchTheme } from "./theme.js";
import { keepMomentsFresh, switchMode } from "./times.js";
import * as trace from "./trace/view.js";

const VIEWS = { search, trace, logs, methods, map, pool };
const TABS = [["search", "Traces"], ["logs", "Logs"], ["methods", "Methods"], ["map", "Map"], ["pool", "Pool"]];

const main = document.getElementById("view");
let shown = { name: null, view: null };

function draw() {
  const address = read();
  const name = address.view in VIEWS ? address.view : "search";
  if (name !== shown.name) {
    shown.view?.close?.();
    main.replaceChildren();
    main.scrollTop = 0;
    main.className = `view-${name}`;
    shown = { name, view: VIEWS[name].open(main) };
    setViewKeys(shown.view.keys ?? []);
  }
  document.title = `${titleOf(name, address.id)} · tracedrpc`;
  markTab(name);
  shown.view.show(address);
}

function titleOf(name, id) {
  return name === "trace" ? `trace ${id.slice(0, 8)}` : new Map(TABS).get(name);
}

function header() {
  const theme = h("button.icon", { type: "button", onclick: changeTheme });
  function changeTheme() {
    switchTheme();
    nameTheme();
  }
  function nameTheme() {
    theme.textContent = isDark() ? "☾" : "☀";
    theme.title = isDark() ? "Dark; switch to light (t)" : "Light; switch to dark (t)";
    theme.setAttribute("aria-label", theme.title);
  }
  nameTheme();
  addKeys([["t", "light or dark", changeTheme]]);
  return [
    h("a.brand", { href: link("search"), "aria-label": "tracedrpc, to the search" },
      h("img", { src: "icon.svg", alt: "", width: 16, height: 16 }), "tracedrpc"),
    h("nav", { "aria-label": "Views" }, TABS.map(([name, title]) =>
      h("a", { href: link(name), "data-tab": name, title: `${title} (g ${name[0]})` }, title))),
    theme,
    h("button.icon", { type: "button", title: "Keyboard (?)", "aria-label": "Keyboard help", onclick: showHelp }, "?"),
  ];
}

function markTab(name) {
  const current = name === "trace" ? "search" : name;
  for (const tab of document.querySelectorAll("[data-tab]")) {
    if (tab.dataset.tab === current) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
}

function focusSearch() {
  const field = main.querySelector("input[type=search]");
  field?.focus();
  field?.select();
}

applyTheme();
document.getElementById("top").append(...header());
addKeys([
  ...TABS.map(([name, title]) => [`g ${name[0]}`, title, () => go(link(name))]),
  ["/", "to the search field", focusSearch],
  ["r", "ask again", () => shown.view.refresh?.()],
  ["a", "times relative or absolute", switchMode],
  ["?", "this help", showHelp],
]);
listen();
keepMomentsFresh();
startStatus(document.getElementById("status"), () => shown.view?.follow?.());
window.addEventListener("hashchange", draw);
draw();
