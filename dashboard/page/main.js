// The page: which view is shown, and what is true of all of them.

import { Chart } from "/chart.js";
import { NodeView, ThingView } from "/details.js";
import { h, setText } from "/dom.js";
import { age, count, rate, size } from "/format.js";
import { Model, counts } from "/model.js";
import { Feed } from "/stream.js";
import { NodesView, PushesView, ThingsView } from "/views.js";

const at = (id) => document.getElementById(id);
const model = new Model();
const chart = new Chart(at("chart"));
const lists = { nodes: new NodesView(model), things: new ThingsView(model), pushes: new PushesView(model) };
const links = Object.fromEntries(Object.keys(lists).map((name) => {
  const number = h("span", { class: "count" });
  const link = h("a", { href: `#${name}` }, name[0].toUpperCase() + name.slice(1), number);
  at("views").append(link);
  return [name, { link, number }];
}));
let view = null;
let connection = "waiting";
let isDrawn = true;

// Where the address leads: a list, or one thing or node.
function route() {
  const [kind, ...rest] = location.hash.slice(1).split("/");
  const key = decoded(rest.join("/"));
  if (kind === "main") return;
  const isFirst = view === null;
  if (kind === "thing" && key) view = new ThingView(model, key);
  else if (kind === "node" && key) view = new NodeView(model, key);
  else view = lists[kind] ?? lists.nodes;
  const list = { thing: "things", node: "nodes" }[kind] ?? (kind in lists ? kind : "nodes");
  for (const [name, { link }] of Object.entries(links)) {
    if (name === list) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (model.tracker) {
    at("main").replaceChildren(view.element);
    view.update();
  }
  feed.about(view.topic ?? "");
  if (isFirst) return;
  (view.heading ?? at("main")).focus({ preventScroll: true });
  const top = at("views").getBoundingClientRect().top;
  if (top < 0) scrollBy(0, top);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

// Draws once for all events of a frame. requestAnimationFrame waits while the tab is hidden.
function draw() {
  if (!isDrawn) return;
  isDrawn = false;
  requestAnimationFrame(() => {
    isDrawn = true;
    if (!model.tracker) return;
    if (!view.element.isConnected) at("main").replaceChildren(view.element);
    tell();
    chart.update(model);
    view.update();
  });
}

const tiles = Object.fromEntries(["Nodes", "Things", "Pushes", "Failures"].map((word) => {
  const figure = h("dd", { class: "figure" });
  const more = h("dd", { class: "more" });
  const tile = h("div", { class: "tile" }, h("dt", {}, word), figure, more);
  at("tiles").append(tile);
  return [word, { tile, figure, more }];
}));

function put(word, figure, small, more) {
  const tile = tiles[word];
  if (tile.told === [figure, small, more].join()) return;
  tile.told = [figure, small, more].join();
  tile.figure.replaceChildren(figure, small ? h("small", {}, ` ${small}`) : "");
  setText(tile.more, more);
}

function tell() {
  const { nodes, things, pushes, tracker } = model;
  const found = counts(nodes);
  const alive = nodes.size - found.off - found.never;
  const busy = found.flow ? `${found.flow} fetching` : "none is fetching";
  put("Nodes", String(alive), `of ${nodes.size} alive`, busy);
  const names = new Set([...things.values()].map((row) => row.name));
  const bytes = [...things.values()].reduce((sum, row) => sum + (row.newest ? row.size ?? 0 : 0), 0);
  const versions = things.size > names.size ? `, ${count(things.size, "version")}` : "";
  put("Things", String(names.size), "", `${size(bytes)}${versions}`);
  const done = [...pushes.values()].filter((row) => row.wanted && row.have === row.wanted).length;
  put("Pushes", String(pushes.size), "", pushes.size ? `${done} complete` : "nothing is pushed");
  const reasons = [...nodes.values()].flatMap((node) => node.failed.map((each) => each.reason.split(";")[0]));
  put("Failures", String(reasons.length), "", reasons.length ? common(reasons) : "nothing has failed");
  tiles.Failures.tile.toggleAttribute("data-bad", reasons.length > 0);
  for (const [name, { number }] of Object.entries(links)) setText(number, String(model[name].size));
  const up = tracker.since === undefined ? "" : `, up for ${age(model.now - tracker.since)}`;
  setText(at("where"), `tracker ${tracker.address.replace("tcp://", "")}${up}`);
  document.title = found.flow ? `${rate(found.got)} · shoal` : "shoal";
  status();
}

function common(reasons) {
  const numbers = new Map();
  for (const reason of reasons) numbers.set(reason, (numbers.get(reason) ?? 0) + 1);
  const [[most]] = [...numbers].sort((one, other) => other[1] - one[1]);
  return most;
}

function status() {
  const away = model.tracker?.away ?? null;
  const [kind, word] = connection !== "open"
    ? [connection, { lost: "connection lost", hidden: "paused", waiting: "connecting" }[connection]]
    : away ? ["away", "tracker away"] : ["live", "live"];
  setText(at("status"), word);
  at("status").dataset.state = kind;
  const text = connection === "lost"
    ? "The dashboard does not answer, or too many of its pages are open. This page keeps trying."
    : away ? `${sentence(away)}. This page shows what it said last, and continues by itself.` : "";
  at("alert").hidden = text === "";
  setText(at("alert"), text);
}

const sentence = (text) => text[0].toUpperCase() + text.slice(1);

const THEMES = ["auto", "light", "dark"];

function theme() {
  const root = document.documentElement;
  const now = root.dataset.theme ?? "auto";
  const next = THEMES[(THEMES.indexOf(now) + 1) % THEMES.length];
  const button = at("theme");
  setText(button, { auto: "◐ auto", light: "☀ light", dark: "☾ dark" }[now]);
  button.setAttribute("aria-label", `Theme: ${now}. Change to ${next}.`);
  button.onclick = () => {
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("shoal-theme", next);
    } catch { /* Then it is for this page alone. */ }
    theme();
    draw();
  };
}

const feed = new Feed(
  (kind, event) => { model.take(kind, event); draw(); },
  (now) => { connection = now; status(); },
);
theme();
addEventListener("hashchange", route);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
route();
at("views").addEventListener("keydown", (event) => {
  const to = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const all = [...at("views").children];
  if (to) all[(all.indexOf(document.activeElement) + to + all.length) % all.length].focus();
});
