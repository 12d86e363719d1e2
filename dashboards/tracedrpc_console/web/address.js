/** The state of the page is its address: `#/trace/4bf9?span=00f0`. Everything else is drawn from it. */

export const HOME = "search";

/** Return the address in parts: the view's name, what it shows, and its parameters. */
export function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const [view, id] = path.split("/").map(decoded);
  return { view: view || HOME, id: id ?? "", params: new URLSearchParams(query ?? "") };
}

/** Return a link to a view. Parameters that are null or "" are left out; a list gives one for each item. */
export function link(path, params = {}) {
  const pairs = params instanceof URLSearchParams ? [...params] : Object.entries(params);
  const given = pairs.flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).map((each) => [key, each]));
  const query = new URLSearchParams(given.filter(([, value]) => value !== null && value !== undefined && value !== ""));
  return `#/${path}${query.size ? `?${query}` : ""}`;
}

export function traceLink(id, params = {}) {
  return link(`trace/${encodeURIComponent(id)}`, params);
}

/** Go to an address as if a link had been followed: the back button returns. */
export function go(href) {
  location.hash = href;
}

/** Change the address without a step in the history, and without telling the view. */
export function note(href) {
  history.replaceState(null, "", href);
}

/** Return the parameters with changes made; null takes one out. */
export function changed(params, changes) {
  const next = new URLSearchParams(params);
  for (const [key, value] of Object.entries(changes)) {
    next.delete(key);
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== "") next.append(key, each);
    }
  }
  return next;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
