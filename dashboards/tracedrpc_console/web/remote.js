/** The console's JSON API: times in microseconds since 1970, durations in milliseconds. */

import { failure } from "./empty.js";

const ROOT = "api/c/";

/** An answer that is none: what the server said, or that it cannot be reached. */
export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export function url(path, params = {}) {
  const query = new URLSearchParams(params instanceof URLSearchParams ? params : Object.entries(params));
  return `${ROOT}${path}${query.size ? `?${query}` : ""}`;
}

/** Ask for JSON. Raises Refused; an aborted request raises an AbortError. */
export async function get(path, params = {}, signal = undefined) {
  const response = await fetch(url(path, params), { signal }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The console does not answer: is `tracedrpc console` still running?");
  });
  if (response.ok) return response.json();
  const said = await response.json().catch(() => ({}));
  throw new Refused(response.status, said.error ?? `The console answered ${response.status} to ${path}.`);
}

/**
 * Return a function that loads what a place of the page shows: the newest request wins, an older one is
 * ended, a failure is shown in the place with a button to try again.
 */
export function loader(place, draw) {
  let current = null;
  async function load(ask) {
    current?.abort();
    const mine = new AbortController();
    current = mine;
    place.setAttribute("aria-busy", "true");
    try {
      const answer = await ask(mine.signal);
      if (!mine.signal.aborted) draw(answer);
    } catch (error) {
      if (!mine.signal.aborted) place.replaceChildren(failure(error, () => load(ask)));
    } finally {
      if (current === mine) place.removeAttribute("aria-busy");
    }
  }
  load.stop = () => current?.abort();
  return load;
}
