// One thing with all who have some of it, and one node with all that it has.

import { bar, h, setText, state } from "/dom.js";
import { age, count, percent, rate, share, shortId, size, title } from "/format.js";
import { Swarm } from "/swarm.js";
import { Table } from "/table.js";
import { idOf, nodeState, openNode, openThing, verdict } from "/views.js";

function facts(list, entries) {
  const parts = entries.filter(([, told]) => told !== null && told !== "").map(([word, told, kind]) =>
    h("div", { class: kind ?? null }, h("dt", {}, word), h("dd", {}, ...(told instanceof Array ? told : [told]))));
  const now = parts.map((part) => part.outerHTML).join();
  if (list.told !== now) list.replaceChildren(...parts);
  list.told = now;
}

export class ThingView {
  constructor(model, key) {
    this.model = model;
    this.key = key;
    this.topic = `thing:${key}`;
    this.heading = h("h2", { tabindex: "-1" });
    this.facts = h("dl", { class: "facts sheet" });
    this.swarm = new Swarm();
    this.table = new Table("Holders", holderColumns(model), openNode);
    this.empty = h("p", { class: "empty" }, "No node has any of it.");
    this.element = h("section", { "aria-label": "Thing" },
      h("a", { class: "back", href: "#things" }, "← all things"),
      h("div", { class: "heading" }, this.heading), this.facts, this.swarm.element, this.table.element, this.empty);
  }

  update() {
    const { model } = this;
    const push = [...model.pushes.values()].find((each) => idOf(each) === this.key);
    const row = model.things.get(this.key) ?? push;
    const name = this.key.slice(0, this.key.lastIndexOf("@"));
    setText(this.heading, row ? title(row) : name);
    const others = [...model.things.entries()].filter(([key, each]) => each.name === name && key !== this.key);
    facts(this.facts, row ? [
      ["Size", size(row.size)],
      ["Published by", row.publisher ?? "–"],
      ["Known for", age(model.now - row.since)],
      ["Id", h("code", {}, shortId(row.id))],
      ["Push", push ? verdict(push, model) : null, "wide"],
      ["Other versions", others.length ? versions(others) : null, "wide"],
    ] : [["State", "Nobody has announced it.", "wide"]]);
    const rows = model.topic === this.topic ? model.about : new Map();
    const nodes = [...rows].filter(([node]) => node !== "");
    this.swarm.update(nodes, rows.get(""), row?.size ?? 0);
    this.table.update(nodes);
    this.empty.hidden = nodes.length > 0;
    this.table.element.hidden = nodes.length === 0;
  }
}

function versions(others) {
  return others.slice(0, 10).flatMap(([key, row]) => [
    h("a", { href: `#thing/${encodeURIComponent(key)}` }, row.version ? `v${row.version}` : shortId(row.id)), " ",
  ]);
}

const STATES = {
  whole: ["have", "has it"], part: ["flow", "fetching"], hashing: ["wait", "hashing"], failed: ["fail", "failed"],
  waiting: ["none", "waiting"], offline: ["off", "offline"],
};
const ORDER = ["failed", "part", "hashing", "waiting", "offline", "whole"];

function holderColumns(model) {
  return [
    { id: "name", title: "Node", kind: "name", value: (_, name) => name, show: (_, name) => name },
    { id: "state", title: "State", kind: "fixed", value: (row) => ORDER.indexOf(row.state), show: (row) => holderState(row) },
    { id: "have", title: "How much", kind: "wide", mostFirst: true,
      value: (row) => (row.state === "whole" ? 2 : share(row.have ?? 0, row.size)), show: (row) => howMuch(row) },
    { id: "rate", title: "Receives", kind: "number", mostFirst: true, value: (row) => row.rate ?? 0,
      show: (row) => (row.rate ? rate(row.rate) : "–"), isZero: (row) => !row.rate },
    { id: "from", title: "From", kind: "number optional", mostFirst: true, value: (row) => row.holders ?? 0,
      show: (row) => (row.holders ? count(row.holders, "node") : "–"), isZero: (row) => !row.holders },
  ];
}

function holderState(row) {
  const [kind, word] = STATES[row.state] ?? ["none", row.state];
  if (!row.alive && row.state === "whole") return state("off", "has it, offline");
  if (!row.alive) return state("off", "offline");
  return state(kind, row.state === "part" && row.have === undefined ? "has part" : word);
}

function howMuch(row) {
  if (row.state === "whole") return ["all", bar([[row.alive ? "have" : "off", 1]])];
  if (row.reason) return h("span", { class: "bad" }, row.reason);
  if (!row.size) return "";
  const kind = { hashing: "wait", failed: "fail" }[row.state] ?? "flow";
  return [`${percent(row.have, row.size)} of ${size(row.size)}`, bar([[kind, share(row.have, row.size)]])];
}

export class NodeView {
  constructor(model, name) {
    this.model = model;
    this.name = name;
    this.topic = `node:${name}`;
    this.heading = h("h2", { tabindex: "-1" }, name);
    this.state = h("p", {});
    this.facts = h("dl", { class: "facts sheet" });
    this.doing = h("ul", { class: "lines sheet" });
    this.doingTitle = h("h3", {}, "What it does");
    this.heldTitle = h("h3", {}, "What it holds");
    this.table = new Table("What it holds", heldColumns(model), openThing);
    this.element = h("section", { "aria-label": "Node" },
      h("a", { class: "back", href: "#nodes" }, "← all nodes"),
      h("div", { class: "heading" }, this.heading, this.state),
      this.facts, h("div", { class: "stack" }, this.doingTitle, this.doing, this.heldTitle, this.table.element));
  }

  update() {
    const { model } = this;
    const node = model.nodes.get(this.name);
    if (!node) {
      facts(this.facts, [["State", "The tracker does not know this node.", "wide"]]);
    } else {
      const now = nodeState(node, model);
      if (this.state.innerHTML !== now.outerHTML) this.state.replaceChildren(now);
      facts(this.facts, [
        ["Address", h("code", {}, node.address)],
        ["Zone", node.zone],
        ["In the cluster file", node.listed ? null : "no"],
        ["Receives", rate(node.got)],
        ["Sends", rate(node.sent)],
        ["Free on its disk", node.free ? size(node.free) : "–"],
        ["Version of shoal", node.version || "–"],
        ["Follows pushes", node.obeys ? "yes" : "no"],
        ["Things", String(node.files)],
      ]);
    }
    const lines = node ? doingLines(node) : [];
    const told = lines.map((line) => line.outerHTML).join();
    if (this.told !== told) this.doing.replaceChildren(...lines);
    this.told = told;
    this.doing.hidden = this.doingTitle.hidden = lines.length === 0;
    const held = model.topic === this.topic ? [...model.about] : [];
    this.table.update(held.map(([key, row]) => [key, { ...model.things.get(key), ...row, key }]));
    this.heldTitle.hidden = this.table.element.hidden = held.length === 0;
  }
}

function doingLines(node) {
  const fetching = node.fetching.map((each) => h("li", {},
    `fetching ${each.name}: ${percent(each.have, each.size)} of ${size(each.size)} at ${rate(each.rate)} from ${count(each.holders, "node")}`,
    bar([["flow", share(each.have, each.size)]])));
  const hashing = node.hashing.map((each) => h("li", {},
    `hashing ${each.name}: ${percent(each.have, each.size)} of ${size(each.size)}`,
    bar([["wait", share(each.have, each.size)]])));
  const failed = node.failed.map((each) => h("li", {},
    h("span", { class: "bad" }, `${each.name}: ${each.reason}`),
    each.retry_s ? h("span", { class: "soft" }, ` · tried again every few minutes`) : null));
  return [...fetching, ...hashing, ...failed];
}

function heldColumns(model) {
  const named = (row) => row.key.slice(0, row.key.lastIndexOf("@"));
  return [
    { id: "name", title: "Thing", kind: "name", value: named, show: (row) => title({ ...row, name: named(row) }) },
    { id: "whole", title: "State", kind: "fixed", value: (row) => Number(row.whole),
      show: (row) => (row.whole ? state("have", "has it") : state("flow", "has part")) },
    { id: "size", title: "Size", kind: "number", mostFirst: true, value: (row) => row.size ?? 0, show: (row) => size(row.size) },
    { id: "publisher", title: "Published by", kind: "optional", value: (row) => row.publisher ?? "", show: (row) => row.publisher ?? "–" },
  ];
}
