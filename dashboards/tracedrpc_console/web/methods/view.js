/** Methods: rate, errors, durations and phases of each, alone or compared with another time or version. */

import { changed, go, link } from "../address.js";
import { h } from "../dom.js";
import { nothingFound, nothingYet } from "../empty.js";
import { choiceField, fill, setOptions, textField, values, watch } from "../fields.js";
import { PHASES } from "../phases.js";
import { rangePicker, stretch } from "../range.js";
import { get, loader } from "../remote.js";
import { hasAnything } from "../status.js";
import { absolute } from "../times.js";
import { methodsTable } from "./table.js";

const COMPARE = [["", "nothing"], ["before", "the same time before"], ["day", "a day earlier"], ["week", "a week earlier"], ["version", "another version"]];
const SHIFT_US = { day: 86_400e6, week: 7 * 86_400e6 };
const DEFAULT_SORT = "count";

export function open(root) {
  const range = rangePicker((next) => go(link("methods", next)));
  const form = h("form.filters", { autocomplete: "off" }, h("div.second",
    choiceField("service", "Service", [["", "any service"]]),
    textField("name", "Method", { placeholder: "part of a name" }),
    choiceField("compare", "Compare with", COMPARE),
    choiceField("version", "Version", [["", "any version"]]),
    choiceField("version2", "with", [["", "choose a version"]]), range.element));
  const legend = h("p.legend-line", { hidden: true });
  const place = h("section.table");
  const load = loader(place, draw);
  let params = new URLSearchParams();
  let services = [];
  let answer = null;
  root.append(form, h("p.state.dim"), place, legend);
  watch(form, (event) => {
    if (!range.element.contains(event?.target ?? null)) go(link("methods", changed(params, values(form))));
  });
  get("services").then((said) => {
    services = said.services;
    setOptions(form.elements.service, [["", "any service"], ...services.map(({ name }) => [name, name])]);
    offerVersions();
  }).catch(() => null);

  function show(address) {
    params = address.params;
    offerVersions();
    fill(form, params);
    range.show(params);
    const isByVersion = params.get("compare") === "version";
    form.querySelector(".f-version2").hidden = !isByVersion;
    root.querySelector(".state").textContent = saying(params);
    refresh();
  }

  function refresh() {
    load((signal) => get("methods", question(params), signal));
  }

  function draw(said) {
    answer = said;
    const part = (params.get("name") ?? "").toLowerCase();
    const rows = said.methods.filter((row) => row.method.toLowerCase().includes(part));
    legend.hidden = !rows.length;
    legend.replaceChildren(...phaseKey(rows));
    if (!rows.length) return place.replaceChildren(hasAnything() ? nothing() : nothingYet());
    place.replaceChildren(methodsTable(rows, {
      sort: params.get("sort") ?? DEFAULT_SORT, isCompared: isCompared(params), asked: timeOf(params),
      onSort: (sort) => {
        go(link("methods", changed(params, { sort })));
      },
    }));
  }

  function nothing() {
    return nothingFound("No call in this time",
      h("a.button", { href: link("methods", changed(params, { range: "all", from: null, to: null, name: null })) }, "Look at everything stored"));
  }

  function offerVersions() {
    const named = services.find(({ name }) => name === params.get("service"));
    const versions = [...new Set((named ? [named] : services).flatMap((service) => service.versions))];
    const options = versions.map((version) => [version, version]);
    setOptions(form.elements.version, [["", "any version"], ...options]);
    setOptions(form.elements.version2, [["", "choose a version"], ...options]);
    fill(form, params);
  }

  return { show, refresh, follow: () => answer && refresh(), close: load.stop, keys: [
    ["x", "compare with the same time before", () => go(link("methods", changed(params, { compare: isCompared(params) ? null : "before" })))],
  ] };
}

function isCompared(params) {
  const compare = params.get("compare");
  return compare === "version" ? params.has("version2") : Boolean(compare) && otherStretch(params) !== null;
}

/** Return {from, to} of the time to compare with; null where there is none. */
function otherStretch(params) {
  const { from, to } = stretch(params);
  const compare = params.get("compare");
  if (!from || !compare || compare === "version") return null;
  const shift = SHIFT_US[compare] ?? to - from;
  return { from: from - shift, to: to - shift };
}

function question(params) {
  const { from, to } = stretch(params);
  const other = otherStretch(params);
  const isByVersion = params.get("compare") === "version";
  return changed(new URLSearchParams(), {
    from: Math.round(from), to: Math.round(to), service: params.get("service"), version: params.get("version"),
    from2: other && Math.round(other.from), to2: other && Math.round(other.to),
    version2: isByVersion ? params.get("version2") : null,
  });
}

function saying(params) {
  if (params.get("compare") === "version") {
    return params.has("version2") ? `version ${params.get("version") ?? "any"} compared with ${params.get("version2")}; small numbers are the latter's`
      : "choose the version to compare with";
  }
  const other = otherStretch(params);
  if (other) return `compared with ${absolute(other.from).slice(0, 19)} to ${absolute(other.to).slice(11, 19)}; small numbers are of then`;
  return params.get("compare") ? "everything stored cannot be compared with an earlier time; choose a shorter one" : "";
}

function timeOf(params) {
  return Object.fromEntries(["range", "from", "to", "service"].map((name) => [name, params.get(name)]));
}

function phaseKey(rows) {
  const used = new Set(rows.flatMap((row) => Object.keys({ ...row.a?.phases, ...row.b?.phases })));
  return Object.entries(PHASES).filter(([name]) => used.has(name)).map(([name, what]) =>
    h("span", { title: what }, h("i", { class: `p-${name}` }), name));
}
