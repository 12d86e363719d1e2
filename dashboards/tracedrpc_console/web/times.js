/** Moments, written relative ("3 m ago") or absolute, all over the page in the same way. */

import { h } from "./dom.js";

const KEY = "tracedrpc.times";
const DAY = new Intl.DateTimeFormat("sv", { dateStyle: "short" });
const TICK_MS = 10_000;
let mode = localStorage.getItem(KEY) === "absolute" ? "absolute" : "relative";

/** Make a `<time>` of microseconds since 1970; the other way of writing it is its tooltip. */
export function moment(us) {
  const element = h("time.mono", { datetime: new Date(us / 1000).toISOString(), "data-us": us });
  write(element);
  return element;
}

/** "2026-11-22 19:04:31.226", in the time of this machine. */
export function absolute(us) {
  return `${DAY.format(us / 1000)} ${clock(us)}`;
}

/** "19:04:31.226". */
export function clock(us) {
  const at = new Date(us / 1000);
  const parts = [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, "0"));
  return `${parts.join(":")}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** "19:04" for axes; with seconds when the whole axis is short. */
export function tick(us, spanUs) {
  return clock(us).slice(0, spanUs < 600e6 ? 8 : 5);
}

export function ago(us) {
  const seconds = Math.round(Date.now() / 1000 - us / 1e6);
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ago`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86_400)} d ago`;
}

/** Write every moment of the page in the other way, and remember it. */
export function switchMode() {
  mode = mode === "relative" ? "absolute" : "relative";
  localStorage.setItem(KEY, mode);
  rewrite();
  return mode;
}

export function currentMode() {
  return mode;
}

export function keepMomentsFresh() {
  setInterval(rewrite, TICK_MS);
}

function rewrite() {
  document.querySelectorAll("time[data-us]").forEach(write);
}

function write(element) {
  const us = Number(element.dataset.us);
  const [shown, other] = mode === "relative" ? [ago(us), absolute(us)] : [absolute(us), ago(us)];
  if (element.textContent !== shown) element.textContent = shown;
  element.title = other;
}
