// The three lists: nodes, things and pushes.

import { bar, h, setText, state } from "/dom.js";
import { Fleet } from "/fleet.js";
import { age, count, percent, rate, share, size, title } from "/format.js";
import { WORDS, counts, kindOf, wordOf } from "/model.js";
import { Table } from "/table.js";

const go = (kind) => (key) => { location.hash = `#${kind}/${encodeURIComponent(key)}`; };
export const openNode = go("node");
export const openThing = go("thing");
export const idOf = (row) => `${row.name}@${row.id ?? ""}`;

// A search field and a row of choices above a table.
class Tools {
  constructor(label, choices, onChange) {
    this.choice = "all";
    this.choices = choices;
    this.search = h("input", {
      type: "search", placeholder: label, "aria-label": label, spellcheck: "false",
      autocomplete: "off", oninput: onChange,
    });
    this.told = h("p", { class: "told", role: "status" });
    this.texts = new Map();
    const chips = Object.keys(choices).map((name) => {
      const text = h("span", {});
      this.texts.set(name, text);
      const input = h("input", {
        type: "radio", name: label, value: name, checked: name === "all",
        onchange: () => { this.choice = name; onChange(); },
      });
      return h("label", { class: "chip" }, input, text);
    });
    const legend = h("legend", { class: "hidden" }, "Show");
    this.element = h("div", { class: "tools" }, this.search,
      chips.length > 1 ? h("fieldset", { class: "chips" }, legend, chips) : null, this.told);
  }

  // The rows that pass, given what of each row is searched.
  passed(rows, textOf) {
    const words = this.search.value.trim().toLowerCase();
    const every = [...rows];
    for (const [name, text] of this.texts) {
      const number = every.filter(([, row]) => this.choices[name][1](row)).length;
      setText(text, `${this.choices[name][0]} ${number}`);
    }
    const passed = every.filter(([key, row]) =>
      this.choices[this.choice][1](row) && (!words || textOf(row, key).toLowerCase().includes(words)));
    setText(this.told, passed.length === every.length ? "" : `${passed.length} of ${every.length}`);
    return passed;
  }
}

const LEGEND = [["flow", "fetching"], ["idle", "idle or serving"], ["wait", "hashing"],
  ["fail", "last fetch failed"], ["off", "offline"], ["never", "never seen"]];

export class NodesView {
  constructor(model) {
    this.model = model;
    const choices = {
      all: ["All", () => true],
      busy: ["Busy", (node) => node.fetching.length + node.hashing.length > 0 || node.sent > 0],
      failed: ["Failed", (node) => node.failed.length > 0],
      off: ["Offline", (node) => node.state !== "alive"],
    };
    this.tools = new Tools("Filter nodes", choices, () => this.update());
    this.fleet = new Fleet(openNode);
    this.table = new Table("Nodes", nodeColumns(model), openNode);
    const legend = h("ul", { class: "legend", "aria-hidden": "true" },
      LEGEND.map(([kind, text]) => h("li", { "data-is": kind }, text)));
    this.full = h("div", {}, legend, this.fleet.canvas, this.tools.element, this.table.element);
    this.empty = h("p", { class: "empty" }, "No node is here. Start one with ", h("code", {}, "shoal node NAME"),
      ", or all with ", h("code", {}, "shoal hosts start"), ".");
    this.element = h("section", { "aria-label": "Nodes" }, this.full, this.empty);
  }

  update() {
    const { nodes } = this.model;
    this.full.hidden = nodes.size === 0;
    const found = counts(nodes);
    this.empty.hidden = nodes.size > found.off + found.never;
    const told = Object.keys(WORDS).filter((kind) => found[kind]).map((kind) => `${found[kind]} ${WORDS[kind]}`);
    this.fleet.update(nodes, `${count(nodes.size, "node")}: ${told.join(", ")}`);
    const text = (node, name) =>
      [name, node.zone, node.address, node.version, wordOf(node), ...node.fetching.map((each) => each.name),
        ...node.failed.map((each) => `${each.name} ${each.reason}`)].join(" ");
    this.table.update(this.tools.passed(nodes, text));
  }
}

const ORDER = ["fail", "flow", "wait", "idle", "off", "never"];

function nodeColumns(model) {
  return [
    { id: "name", title: "Node", kind: "name", value: (_, name) => name,
      show: (node, name) => (node.zone ? [name, h("span", { class: "sub" }, ` ${node.zone}`)] : name) },
    { id: "state", title: "State", kind: "fixed",
      value: (node) => ORDER.indexOf(kindOf(node)), show: (node) => nodeState(node, model) },
    { id: "doing", title: "Doing", kind: "wide", value: (node) => -(node.fetching.length + node.hashing.length),
      show: (node) => doing(node) },
    { id: "got", title: "Receives", kind: "number", mostFirst: true, value: (node) => node.got,
      show: (node) => flow(node.got), isZero: (node) => !node.got },
    { id: "sent", title: "Sends", kind: "number", mostFirst: true, value: (node) => node.sent,
      show: (node) => flow(node.sent), isZero: (node) => !node.sent },
    { id: "free", title: "Free", kind: "number optional", value: (node) => node.free,
      show: (node) => (node.free ? size(node.free) : "–"), isZero: (node) => !node.free },
    { id: "files", title: "Things", kind: "number optional", mostFirst: true, value: (node) => node.files,
      show: (node) => String(node.files), isZero: (node) => !node.files },
    { id: "version", title: "Version", kind: "number optional", value: (node) => node.version,
      show: (node) => node.version || "–", isZero: (node) => !node.version },
  ];
}

const flow = (bytes) => (bytes ? rate(bytes) : "–");

export function nodeState(node, model) {
  const since = node.state === "offline" && node.heard !== null
    ? ` for ${age(model.now - node.heard)}` : "";
  return state(kindOf(node), wordOf(node) + since);
}

// What goes on, the most important first; of a failure its reason, which is what helps.
function doing(node) {
  const parts = [];
  for (const each of node.fetching.slice(0, 1)) {
    const told = percent(each.have, each.size);
    parts.push(`${each.name} ${told}`.trim(), bar([["flow", share(each.have, each.size)]]));
  }
  for (const each of node.hashing.slice(0, parts.length ? 0 : 1)) {
    parts.push(`hashing ${each.name} ${percent(each.have, each.size)}`.trim(),
      bar([["wait", share(each.have, each.size)]]));
  }
  const others = node.fetching.length + node.hashing.length - (parts.length ? 1 : 0);
  if (others > 0) parts.splice(1, 0, h("span", { class: "sub" }, ` and ${others} more`));
  for (const each of node.failed.slice(0, 1)) {
    parts.push(h("span", { class: "bad" }, `${each.name}: ${each.reason}`));
  }
  return parts;
}

export class ThingsView {
  constructor(model) {
    this.model = model;
    const choices = {
      all: ["All", () => true],
      newest: ["Newest versions", (row) => row.newest],
      flowing: ["Being fetched", (row) => model.activity(row.id).fetching > 0],
    };
    this.tools = new Tools("Filter things", choices, () => this.update());
    this.table = new Table("Things", thingColumns(model), openThing);
    this.full = h("div", {}, this.tools.element, this.table.element);
    this.empty = h("p", { class: "empty" }, "Nothing is shared yet. Put a file into a node's folder, or run ",
      h("code", {}, "shoal share PATH"), ".");
    this.element = h("section", { "aria-label": "Things" }, this.full, this.empty);
  }

  update() {
    const { things } = this.model;
    this.full.hidden = things.size === 0;
    this.empty.hidden = things.size > 0;
    const text = (row) => [row.name, row.id, row.publisher].join(" ");
    this.table.update(this.tools.passed(things, text));
  }
}

function thingColumns(model) {
  return [
    { id: "name", title: "Thing", kind: "name", value: (row) => row.name,
      show: (row) => (row.newest ? title(row) : [title(row), h("span", { class: "sub" }, " older")]) },
    { id: "size", title: "Size", kind: "number", mostFirst: true, value: (row) => row.size ?? 0,
      show: (row) => size(row.size) },
    { id: "whole", title: "Who has it", kind: "wide", mostFirst: true, value: (row) => row.whole,
      show: (row) => holders(row, model) },
    { id: "rate", title: "Flows", kind: "number", mostFirst: true, value: (row) => model.activity(row.id).rate,
      show: (row) => flow(model.activity(row.id).rate), isZero: (row) => !model.activity(row.id).rate },
    { id: "publisher", title: "Published by", kind: "optional", value: (row) => row.publisher ?? "",
      show: (row) => row.publisher ?? "–" },
    { id: "since", title: "Age", kind: "number optional", value: (row) => -row.since,
      show: (row) => age(model.now - row.since) },
  ];
}

export function holders(row, model) {
  const all = Math.max(model.nodes.size, row.whole + row.part + row.away, 1);
  const words = [`${row.whole} of ${all} have it`];
  if (row.part) words.push(`${row.part} ${row.part === 1 ? "has" : "have"} part`);
  if (row.away) words.push(`${row.away} offline`);
  return [words.join(" · "), bar([["have", row.whole / all], ["flow", row.part / all], ["off", row.away / all]])];
}

export class PushesView {
  constructor(model) {
    this.model = model;
    this.tools = new Tools("Filter pushes", { all: ["All", () => true] }, () => this.update());
    const open = (name) => openThing(idOf(model.pushes.get(name)));
    this.table = new Table("Pushes", pushColumns(model), open);
    this.full = h("div", {}, this.tools.element, this.table.element);
    this.empty = h("p", { class: "empty" }, "Nothing is pushed. ", h("code", {}, "shoal push NAME --to all"),
      " has nodes fetch something.");
    this.element = h("section", { "aria-label": "Pushes" }, this.full, this.empty);
  }

  update() {
    const { pushes } = this.model;
    this.full.hidden = pushes.size === 0;
    this.empty.hidden = pushes.size > 0;
    this.table.update(this.tools.passed(pushes, (row) => [row.name, row.id, row.to].join(" ")));
  }
}

function pushColumns(model) {
  return [
    { id: "name", title: "Push", kind: "name", value: (row) => row.name, show: (row) => title(row) },
    { id: "size", title: "Size", kind: "number", mostFirst: true, value: (row) => row.size, show: (row) => size(row.size) },
    { id: "to", title: "To", kind: "optional", value: (row) => row.to, show: (row) => shortened(row.to) },
    { id: "have", title: "Verdict", kind: "wide", value: (row) => share(row.have, row.wanted),
      show: (row) => verdict(row, model) },
    { id: "rate", title: "Flows", kind: "number", mostFirst: true, value: (row) => model.activity(row.id).rate,
      show: (row) => flow(model.activity(row.id).rate), isZero: (row) => !model.activity(row.id).rate },
    { id: "since", title: "Age", kind: "number", value: (row) => -row.since, show: (row) => age(model.now - row.since) },
  ];
}

const shortened = (text) => (text.length > 40 ? `${text.slice(0, 39)}…` : text);

// As in "37 of 40 have it · 2 are fetching · 1 failed: the disk is full".
export function verdict(row, model) {
  const { fetching, failed } = model.activity(row.id);
  const words = [row.have === row.wanted && row.wanted ? `all ${row.wanted} have it` : `${row.have} of ${row.wanted} have it`];
  if (fetching) words.push(`${fetching} fetching`);
  const parts = [words.join(" · ")];
  const reasons = [...new Set(failed.map(([, reason]) => reason.split(";")[0]))];
  if (failed.length) {
    const told = reasons.length === 1 ? reasons[0] : `${reasons[0]}, and ${count(reasons.length - 1, "other reason")}`;
    parts.push(" · ", h("span", { class: "bad" }, `${failed.length} failed: ${told}`));
  }
  const all = Math.max(1, row.wanted);
  parts.push(bar([["have", row.have / all], ["flow", fetching / all], ["fail", failed.length / all]]));
  return parts;
}
