/** The stretch of time that a view looks at: the last hour and so on, or from one moment to another. */

import { changed } from "./address.js";
import { h } from "./dom.js";

export const RANGES = [
  ["5m", "5 minutes"], ["15m", "15 minutes"], ["1h", "hour"], ["6h", "6 hours"], ["24h", "24 hours"], ["7d", "7 days"],
  ["all", "everything stored"],
];
export const DEFAULT_RANGE = "1h";
const UNIT_S = { m: 60, h: 3600, d: 86_400 };

/** Return {from, to} in microseconds; `from` is 0 for everything stored. */
export function stretch(params) {
  const now = Date.now() * 1000;
  if (params.has("from") || params.has("to")) {
    return { from: Number(params.get("from") ?? 0), to: Number(params.get("to") ?? now) };
  }
  const length = lengthUs(params.get("range") ?? DEFAULT_RANGE);
  return { from: length === null ? 0 : now - length, to: now };
}

/** Return a range's length in microseconds; null for everything, the default's for nonsense. */
export function lengthUs(range) {
  if (range === "all") return null;
  const parts = /^(\d+)([mhd])$/.exec(range);
  return parts ? Number(parts[1]) * UNIT_S[parts[2]] * 1e6 : lengthUs(DEFAULT_RANGE);
}

/** A picker that calls `onPick(params)` with the address's parameters changed. */
export function rangePicker(onPick) {
  let params = new URLSearchParams();
  const select = h("select", { "aria-label": "Time range", onchange: choose },
    RANGES.map(([name, words]) => h("option", { value: name }, name === "all" ? words : `last ${words}`)),
    h("option", { value: "custom" }, "from … to …"));
  const from = moment("From", "from");
  const to = moment("To", "to");
  const exact = h("span.exact", { hidden: true }, from, "–", to);

  function choose() {
    if (select.value !== "custom") onPick(changed(params, { range: select.value, from: null, to: null }));
    else {
      const now = stretch(params);
      onPick(changed(params, { range: null, from: Math.round(now.from), to: Math.round(now.to) }));
    }
  }
  function moment(label, name) {
    const field = h("input", { type: "datetime-local", step: "1", "aria-label": label, onchange: () => {
      const at = new Date(field.value).getTime() * 1000;
      if (Number.isFinite(at)) onPick(changed(params, { [name]: at }));
    } });
    return field;
  }
  function show(next) {
    params = next;
    const isExact = params.has("from") || params.has("to");
    select.value = isExact ? "custom" : params.get("range") ?? DEFAULT_RANGE;
    exact.hidden = !isExact;
    if (!isExact) return;
    const { from: start, to: end } = stretch(params);
    from.value = local(start);
    to.value = local(end);
  }
  return { element: h("span.range", select, exact), show };
}

/** The form that datetime-local wants, in this machine's time. */
function local(us) {
  const at = new Date(us / 1000);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
