/** Places the nodes of a graph in layers from left to right, with few crossings. Pure. */

const SWEEPS = 8;

/**
 * Return {layers, ways}. `layers` holds, from left to right, lists of items from top to bottom; an item is
 * {name} for a node, or {name: null} where an edge passes a layer. `ways` gives for each edge that goes to
 * the right the items it passes, ends included; one that goes back has none.
 */
export function layered(names, edges) {
  const known = new Set(names);
  const usable = edges.filter(({ from, to }) => from !== to && known.has(from) && known.has(to));
  const forward = withoutCircles(names, usable);
  const depth = depths(names, forward);
  const items = new Map(names.map((name) => [name, { name }]));
  const layers = [];
  for (const name of names.toSorted()) (layers[depth.get(name)] ??= []).push(items.get(name));
  const ways = new Map(forward.map((edge) => [edge, wayOf(edge, items, depth, layers)]));
  const hops = [...ways.values()].flatMap((way) => way.slice(1).map((item, at) => ({ from: way[at], to: item })));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) straighten(layers, hops, sweep % 2 === 0);
  return { layers, ways };
}

/** Leave out the edges that lead back to a node that is still being followed. */
function withoutCircles(names, edges) {
  const out = groupBy(edges, "from");
  const [state, kept] = [new Map(), []];
  const follow = (name) => {
    state.set(name, "open");
    for (const edge of out.get(name) ?? []) {
      if (state.get(edge.to) === "open") continue;
      kept.push(edge);
      if (!state.has(edge.to)) follow(edge.to);
    }
    state.set(name, "done");
  };
  const called = new Set(edges.map(({ to }) => to));
  const callers = names.filter((name) => !called.has(name));
  for (const name of [...callers, ...names]) if (!state.has(name)) follow(name);
  return kept;
}

/** A node's layer is its longest way from a node that nobody calls. */
function depths(names, edges) {
  const depth = new Map(names.map((name) => [name, 0]));
  for (let round = 0; round < names.length; round += 1) {
    const late = edges.filter(({ from, to }) => depth.get(to) <= depth.get(from));
    if (!late.length) break;
    for (const { from, to } of late) depth.set(to, Math.max(depth.get(to), depth.get(from) + 1));
  }
  return depth;
}

/** Put a place to pass into each layer between the ends of an edge. */
function wayOf({ from, to }, items, depth, layers) {
  const way = [items.get(from)];
  for (let layer = depth.get(from) + 1; layer < depth.get(to); layer += 1) {
    const passing = { name: null };
    layers[layer].push(passing);
    way.push(passing);
  }
  return [...way, items.get(to)];
}

/** Order each layer by the mean place of the neighbours in the layer before it, or behind it. */
function straighten(layers, hops, isDown) {
  const rank = new Map(layers.flatMap((layer) => layer.map((item, slot) => [item, slot - (layer.length - 1) / 2])));
  const [here, there] = isDown ? ["to", "from"] : ["from", "to"];
  const neighbours = groupBy(hops, here);
  for (const layer of isDown ? layers : layers.toReversed()) {
    const wanted = new Map(layer.map((item) => {
      const near = (neighbours.get(item) ?? []).map((hop) => rank.get(hop[there]));
      return [item, near.length ? near.reduce((sum, each) => sum + each, 0) / near.length : rank.get(item)];
    }));
    layer.sort((x, y) => wanted.get(x) - wanted.get(y));
    layer.forEach((item, slot) => rank.set(item, slot - (layer.length - 1) / 2));
  }
}

function groupBy(items, key) {
  const groups = new Map();
  for (const item of items) {
    if (!groups.has(item[key])) groups.set(item[key], []);
    groups.get(item[key]).push(item);
  }
  return groups;
}
