/** A service has one colour, on every view and tomorrow too, as unlike those of the others as can be. */

import { h } from "./dom.js";

export const PALETTE_SIZE = 12;
const KEY = "tracedrpc.services";
const MOST_REMEMBERED = 200;
const known = new Map(remembered());

/** Return the class that sets `--c` to the service's colour. */
export function serviceClass(name) {
  if (!known.has(name)) learn(name);
  return `s${known.get(name)}`;
}

/** A service's name behind a dot of its colour. */
export function serviceName(name) {
  return h("span.service", { class: serviceClass(name), title: name }, name);
}

function learn(name) {
  known.set(name, farthest(new Set(known.values()), hash(name) % PALETTE_SIZE));
  if (known.size <= MOST_REMEMBERED) localStorage.setItem(KEY, JSON.stringify([...known]));
}

/** The palette is in the order of hues: take the place farthest from all that are taken, `first` if none is. */
function farthest(taken, first) {
  const turned = Array.from({ length: PALETTE_SIZE }, (_, by) => (first + by) % PALETTE_SIZE);
  const room = (at) => Math.min(PALETTE_SIZE, ...[...taken].map((other) => Math.abs(at - other)));
  return turned.reduce((best, at) => (room(at) > room(best) ? at : best), first);
}

function remembered() {
  try {
    const pairs = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return pairs.filter(([, at]) => Number.isInteger(at) && at >= 0 && at < PALETTE_SIZE);
  } catch {
    return [];
  }
}

function hash(name) {
  let value = 2166136261;
  for (const char of name) value = Math.imul(value ^ char.codePointAt(0), 16777619);
  return value >>> 0;
}
