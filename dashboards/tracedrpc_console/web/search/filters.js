/** The question of a search as a form, and as parameters of the API. */

import { changed } from "../address.js";
import { h } from "../dom.js";
import { choiceField, fill, searchField, setOptions, textField, tickField, values, watch } from "../fields.js";
import { milliseconds } from "../format.js";
import { rangePicker, stretch } from "../range.js";
import { get } from "../remote.js";

const ANY_SERVICE = [["", "any service"]];
const OUTCOMES = [["", "any outcome"], ["ok", "ok"], ["error", "error"], ["timeout", "time-out"]];
const PLAIN = ["q", "service", "method", "outcome", "errors"];

/** Make the form; `onAsk(params)` is called with the parameters of the address. */
export function filters(onAsk) {
  let params = new URLSearchParams();
  const range = rangePicker(onAsk);
  const form = h("form.filters", { role: "search", autocomplete: "off" },
    h("div.first", searchField("q", "Search", "Words in names, attributes and errors; a trace id; a message id"), range.element),
    h("details.more", { open: matchMedia("(min-width: 700px)").matches },
      h("summary", "Filters"),
      h("div.second",
        choiceField("service", "Service", ANY_SERVICE),
        textField("method", "Method", { placeholder: "compute/reboot_instance" }),
        choiceField("outcome", "Outcome", OUTCOMES),
        textField("min", "At least", { placeholder: "250ms", size: "6" }),
        textField("max", "At most", { placeholder: "2s", size: "6" }),
        textField("attr", "Attributes", { placeholder: "key=value key=value" }),
        tickField("errors", "errors only"))));
  watch(form, (event) => {
    if (!range.element.contains(event?.target ?? null)) onAsk(changed(params, values(form, ["attr"])));
  });
  get("services").then(({ services }) => setOptions(form.elements.service,
    [...ANY_SERVICE, ...services.map(({ name }) => [name, name])])).catch(() => null);

  function show(next) {
    params = next;
    fill(form, params);
    range.show(params);
    for (const name of ["min", "max"]) {
      const field = form.elements[name];
      field.setCustomValidity(field.value && milliseconds(field.value) === null ? "Like 250ms, 1.5s or 2m" : "");
    }
  }
  return { element: form, show };
}

/** Return what the API is asked: durations in milliseconds, times in microseconds. */
export function question(params) {
  const asked = new URLSearchParams();
  for (const name of PLAIN) if (params.get(name)) asked.set(name, params.get(name));
  for (const name of ["min", "max"]) {
    const ms = milliseconds(params.get(name) ?? "");
    if (ms !== null) asked.set(name, ms);
  }
  for (const pair of params.getAll("attr")) if (pair.includes("=")) asked.append("attr", pair);
  const { from, to } = stretch(params);
  if (from) asked.set("from", Math.round(from));
  if (from || params.has("to")) asked.set("to", Math.round(to));
  return asked;
}
