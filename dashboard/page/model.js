// What is known of the cluster, kept up by the events. Draws nothing.

const SECTIONS = ["nodes", "things", "pushes"];
const KEPT_S = 900;

export class Model {
  nodes = new Map();
  things = new Map();
  pushes = new Map();
  about = new Map();
  topic = "";
  load = [];
  tracker = null;
  #ahead = 0;

  // Seconds on the server's clock.
  get now() {
    return performance.now() / 1000 + this.#ahead;
  }

  take(kind, event) {
    if (kind === "about") return this.#takeAbout(event);
    this.#ahead = event.now - performance.now() / 1000;
    this.tracker = event.tracker;
    for (const name of SECTIONS) {
      if (kind === "whole") this[name] = new Map(Object.entries(event[name]));
      else merge(this[name], event[name]);
    }
    if (kind === "whole") this.load = [];
    this.load.push(...event.load);
    while (this.load.length && this.load[0][0] < event.now - KEPT_S) this.load.shift();
    this.#activity = null;
  }

  #takeAbout(event) {
    if (event.new || event.topic !== this.topic) this.about = new Map();
    this.topic = event.topic;
    merge(this.about, event.rows);
  }

  #activity = null;

  // What goes on with each version, by its id: who fetches it, how fast, and who has failed.
  activity(id) {
    this.#activity ??= activities(this.nodes);
    return this.#activity.get(id) ?? { fetching: 0, rate: 0, failed: [] };
  }
}

function merge(rows, changed) {
  for (const [key, row] of Object.entries(changed)) {
    if (row === null) rows.delete(key);
    else rows.set(key, row);
  }
}

function activities(nodes) {
  const found = new Map();
  const of = (id) => {
    if (!found.has(id)) found.set(id, { fetching: 0, rate: 0, failed: [] });
    return found.get(id);
  };
  for (const [name, node] of nodes) {
    for (const each of node.fetching) {
      of(each.id).fetching += 1;
      of(each.id).rate += each.rate;
    }
    for (const each of node.failed) of(each.id).failed.push([name, each.reason]);
  }
  return found;
}

// One word for a node, and the colour it has: what needs attention comes before what is usual.
export function kindOf(node) {
  if (node.state === "never") return "never";
  if (node.state !== "alive") return "off";
  if (node.failed.length) return "fail";
  if (node.fetching.length) return "flow";
  if (node.hashing.length) return "wait";
  return "idle";
}

export const WORDS = {
  never: "never seen", off: "offline", fail: "failed", flow: "fetching", wait: "hashing", idle: "idle",
};

export const wordOf = (node) =>
  kindOf(node) === "idle" && node.sent ? "serving" : WORDS[kindOf(node)];

export function counts(nodes) {
  const found = { never: 0, off: 0, fail: 0, flow: 0, wait: 0, idle: 0, sent: 0, got: 0 };
  for (const node of nodes.values()) {
    found[kindOf(node)] += 1;
    found.sent += node.sent;
    found.got += node.got;
  }
  return found;
}
