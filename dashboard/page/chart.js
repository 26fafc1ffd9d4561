// What flows through the cluster over time, against what its links could take.

import { h, setText, svg } from "/dom.js";
import { rate } from "/format.js";

const WIDTH = 600;
const HEIGHT = 132;
const LEFT = 62;
const BOTTOM = 18;
const TOP = 8;
const MOST_S = 300;
const LEAST_S = 60; // A page that was just opened shows its first minute in full width.
const LEAST = 1e6; // Bytes/s: below that a chart of noise would fill the picture.
const GAP_S = 25; // Without samples for so long, the line is broken.

export class Chart {
  constructor(figure) {
    this.now = h("b", {});
    this.bound = h("span", { class: "key", "data-is": "bound" }, "what the receiving links can take");
    figure.append(
      h("figcaption", {}, this.now,
        h("span", { class: "key", "data-is": "received" }, "received"), this.bound));
    this.picture = svg("svg", { role: "img", preserveAspectRatio: "none" });
    figure.append(this.picture);
    new ResizeObserver(() => this.#draw()).observe(figure);
  }

  update(model) {
    this.model = model;
    this.#draw();
  }

  #draw() {
    if (!this.model) return;
    const width = this.picture.clientWidth || WIDTH;
    const height = this.picture.clientHeight || HEIGHT;
    const now = this.model.now;
    const known = now - (this.model.load[0]?.[0] ?? now);
    const span = Math.max(LEAST_S, Math.min(MOST_S, Math.ceil(known / 30) * 30));
    const samples = this.model.load.filter(([at]) => at > now - span);
    const last = samples.at(-1) ?? [now, 0, 0, null, 0];
    const top = ceiling(Math.max(LEAST, ...samples.map(([, got, , bound]) => Math.max(got, bound ?? 0))));
    const x = (at) => LEFT + (width - LEFT) * (1 - (now - at) / span);
    const y = (value) => TOP + (height - TOP - BOTTOM) * (1 - value / top);
    const parts = [];
    for (const value of [0, top / 2, top]) {
      parts.push(svg("line", { class: "grid", x1: LEFT, x2: width, y1: y(value), y2: y(value) }));
      parts.push(svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, rate(value)));
    }
    for (const before of [span * 0.8, span * 0.4]) {
      const text = `${before < 120 ? `${before} s` : `${before / 60} min`} ago`;
      parts.push(svg("text", { x: x(now - before), y: height - 3, "text-anchor": "middle" }, text));
    }
    parts.push(svg("text", { x: width, y: height - 3, "text-anchor": "end" }, "now"));
    const got = runs(samples, 1).map((run) => [run, path(run, 1, x, y)]);
    for (const [run, line] of got) {
      const area = `${line}L${x(run.at(-1)[0]).toFixed(1)},${y(0)}L${x(run[0][0]).toFixed(1)},${y(0)}Z`;
      parts.push(svg("path", { class: "area", d: area }), svg("path", { class: "received", d: line }));
    }
    for (const run of runs(samples, 3)) parts.push(svg("path", { class: "bound", d: path(run, 3, x, y) }));
    this.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.picture.replaceChildren(...parts);
    this.#tell(last, samples);
  }

  #tell([, got, , bound], samples) {
    const share = bound ? `, ${Math.round((100 * got) / bound)} % of the bound` : "";
    const when = this.model.tracker.away ? "when the tracker last answered" : "now";
    setText(this.now, `${rate(got)} ${when}${share}`);
    this.bound.hidden = !samples.some((sample) => sample[3]);
    const most = Math.max(0, ...samples.map((sample) => sample[1]));
    this.picture.setAttribute("aria-label",
      `Throughput of the last minutes: ${rate(got)} ${when}${share}, at most ${rate(most)}.`);
  }
}

function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 1.02) ?? 20 * power;
}

// The stretches of samples that have a value and no gap between them.
function runs(samples, place) {
  const found = [];
  let last = null;
  for (const sample of samples) {
    if (sample[place] === null) {
      last = null;
      continue;
    }
    if (last && sample[0] - last[0] < GAP_S) found.at(-1).push(sample);
    else found.push([sample]);
    last = sample;
  }
  return found;
}

function path(run, place, x, y) {
  const points = run.map((sample) => `${x(sample[0]).toFixed(1)},${y(sample[place]).toFixed(1)}`);
  return `M${points.join("L")}`;
}
