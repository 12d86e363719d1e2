/** A form whose fields are parameters of the address: written from it, and read into it when they change. */

import { h, whenQuiet } from "./dom.js";

const QUIET_MS = 250;

/** A text field. `more` are further attributes of the input. */
export function textField(name, label, more = {}) {
  const input = h("input", { type: "text", name, autocomplete: "off", spellcheck: "false", ...more });
  return h("label.field", { class: `f-${name}` }, h("span", label), input);
}

export function searchField(name, label, placeholder) {
  return textField(name, label, { type: "search", placeholder });
}

/** A choice; `options` are [value, words] pairs, the first one stands for "any". */
export function choiceField(name, label, options) {
  const select = h("select", { name }, options.map(([value, words]) => h("option", { value }, words)));
  return h("label.field", { class: `f-${name}` }, h("span", label), select);
}

export function tickField(name, label) {
  return h("label.tick", h("input", { type: "checkbox", name, value: "1" }), label);
}

/** Call `onChange` soon after somebody has typed, and at once after a choice. */
export function watch(form, onChange) {
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", whenQuiet(QUIET_MS, onChange));
  form.addEventListener("change", onChange);
}

/** Put parameters into the fields; a field that is being typed in is left alone. */
export function fill(form, params) {
  for (const field of form.querySelectorAll("[name]")) {
    const values = params.getAll(field.name);
    if (field.type === "checkbox") field.checked = values.includes("1");
    else if (field === document.activeElement && field.matches("input")) continue;
    else {
      if (field.matches("select")) offer(field, values[0] ?? "");
      field.value = values.join(" ");
    }
  }
}

/** Return {name: value} of the fields; a list where `lists` has the name: words divided by spaces. */
export function values(form, lists = []) {
  const found = {};
  for (const field of form.querySelectorAll("[name]")) {
    if (field.type === "checkbox") found[field.name] = field.checked ? "1" : null;
    else found[field.name] = lists.includes(field.name) ? field.value.trim().split(/\s+/) : field.value.trim();
  }
  return found;
}

/** Give a select new options, keeping what is chosen. */
export function setOptions(select, options) {
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, words]) => h("option", { value }, words)));
  offer(select, chosen);
  select.value = chosen;
}

/** A value of the address may be one that no list has: a service that sends no more. */
function offer(select, value) {
  if (value && ![...select.options].some((option) => option.value === value)) {
    select.append(h("option", { value }, value));
  }
}
