/** Numbers for people: the digits that count, and a unit. */

const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** Milliseconds: "0.42 ms", "41.2 ms", "1.20 s", "2 m 05 s". */
export function duration(ms) {
  if (ms < 0.01 && ms > 0) return `${(ms * 1000).toFixed(1)} µs`;
  if (ms < 10) return `${ms.toFixed(2)} ms`;
  if (ms < 999.5) return `${ms.toFixed(1)} ms`;
  if (ms < 59_995) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, "0")} s`;
  return `${Math.floor(seconds / 3600)} h ${String(Math.floor(seconds / 60) % 60).padStart(2, "0")} m`;
}

export function count(value) {
  return WHOLE.format(value);
}

export function short(value) {
  return value < 10_000 ? WHOLE.format(value) : SHORT.format(value);
}

/** "1 span", "2 spans". */
export function plural(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

export function bytes(value) {
  if (value < 1000) return `${value} B`;
  if (value < 1e6) return `${(value / 1e3).toFixed(0)} kB`;
  return value < 1e9 ? `${(value / 1e6).toFixed(1)} MB` : `${(value / 1e9).toFixed(2)} GB`;
}

/** Calls a second, a minute or an hour, whichever has digits to show. */
export function rate(perSecond) {
  if (perSecond >= 1) return `${digits(perSecond)}/s`;
  return perSecond * 60 >= 1 ? `${digits(perSecond * 60)}/min` : `${digits(perSecond * 3600)}/h`;
}

function digits(value) {
  return value.toFixed(value < 10 && value > 0 ? 1 : 0);
}

export function percent(share) {
  if (share === 0) return "0 %";
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

/** Anything an attribute can hold, as text. */
export function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value) ?? String(value);
}

/** Parse "250", "250ms", "1.5s", "2m" into milliseconds; null when it is none of them. */
export function milliseconds(written) {
  const parts = /^\s*(\d+(?:\.\d+)?)\s*(µs|us|ms|s|m)?\s*$/.exec(written);
  if (!parts) return null;
  const unit = { "µs": 0.001, us: 0.001, ms: 1, s: 1000, m: 60_000 }[parts[2] ?? "ms"];
  return Number(parts[1]) * unit;
}
