// The swarm of one thing: a row for each host, a column for each chunk, which fill from empty.

import { colours, h, setText } from "/dom.js";
import { compare, count, share } from "/format.js";

const MOST_HEIGHT = 440;
const LEAST_ROW = 2;
const MOST_ROW = 18;
const NAMED_ROW = 12; // Rows of this height have a name beside them.
const NAME_PX = 108;

export class Swarm {
  constructor() {
    this.told = h("span", {});
    this.counted = h("span", {});
    this.canvas = h("canvas", { role: "img" });
    this.point = h("p", { class: "point", "aria-hidden": "true" });
    this.element = h("div", { class: "swarm sheet" },
      h("p", { class: "caption" }, this.told, this.counted), this.canvas, this.point);
    this.canvas.addEventListener("mousemove", (event) => this.#show(event));
    this.canvas.addEventListener("mouseleave", () => setText(this.point, ""));
    new ResizeObserver(() => this.#draw()).observe(this.canvas);
  }

  // Rows are [node, row]; `head` tells how many chunks there are, if any holder has said it.
  update(rows, head, size) {
    this.rows = [...rows].sort((one, other) => compare(one[0], other[0]));
    this.head = head ?? {};
    this.size = size;
    this.element.hidden = rows.length === 0;
    const whole = rows.filter(([, row]) => row.state === "whole").length;
    const text = `${whole} of ${count(rows.length, "node")} ${whole === 1 ? "has" : "have"} all of it`;
    setText(this.told, text);
    const { chunks, columns } = this.head;
    setText(this.counted, chunks
      ? `${count(chunks, "chunk")} across${columns < chunks ? `, about ${Math.round(chunks / columns)} in a column` : ""}` : "");
    this.canvas.setAttribute("aria-label", `Chunks of each node: ${text}. The table below has the figures.`);
    this.#draw();
  }

  #draw() {
    const width = this.canvas.clientWidth;
    if (!this.rows?.length || !width) return;
    const room = Math.floor(MOST_HEIGHT / this.rows.length);
    this.rowPx = Math.max(LEAST_ROW, Math.min(MOST_ROW, room));
    this.gap = this.rowPx > 5 ? 2 : this.rowPx > 2 ? 1 : 0;
    this.left = this.rowPx >= NAMED_ROW ? NAME_PX : 0;
    const height = this.rows.length * this.rowPx;
    const scale = devicePixelRatio || 1;
    if (this.canvas.style.height !== `${height}px`) this.canvas.style.height = `${height}px`;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
    pen.textBaseline = "middle";
    this.ink = colours("none", "have", "flow", "wait", "fail", "off", "soft");
    this.rows.forEach(([name, row], place) => this.#row(pen, name, row, place * this.rowPx, width));
  }

  #row(pen, name, row, y, width) {
    const { ink, left } = this;
    const high = this.rowPx - this.gap;
    const across = width - left;
    if (left) {
      pen.fillStyle = ink.soft;
      pen.fillText(fitted(pen, name, NAME_PX - 10), 0, y + high / 2 + 0.5);
    }
    const colour = !row.alive ? ink.off : { whole: ink.have, hashing: ink.wait, failed: ink.fail }[row.state] ?? ink.flow;
    pen.fillStyle = ink.none;
    pen.fillRect(left, y, across, high);
    pen.fillStyle = colour;
    if (row.state === "whole") {
      pen.fillRect(left, y, across, high);
    } else if (row.levels) {
      this.#levels(pen, row.levels, y, high, across);
    } else if (row.size) {
      pen.globalAlpha = 0.45; // How much, but not which.
      pen.fillRect(left, y, across * share(row.have, row.size), high);
      pen.globalAlpha = 1;
    } else if (row.state === "failed") {
      pen.fillRect(left, y, 4, high);
    }
  }

  #levels(pen, text, y, high, across) {
    const levels = atob(text);
    const wide = across / levels.length;
    for (let place = 0; place < levels.length; place += 1) {
      const level = levels.charCodeAt(place);
      if (!level) continue;
      let end = place + 1;
      while (end < levels.length && levels.charCodeAt(end) === level) end += 1;
      pen.globalAlpha = 0.25 + (0.75 * level) / 255;
      pen.fillRect(this.left + place * wide, y, (end - place) * wide, high);
      place = end - 1;
    }
    pen.globalAlpha = 1;
  }

  #show(event) {
    const found = this.rows?.[Math.floor(event.offsetY / this.rowPx)];
    if (!found) return;
    const [name, row] = found;
    const have = row.state === "whole" ? "all of it" : row.size ? `${Math.floor(100 * share(row.have, row.size))} %` : row.state;
    setText(this.point, `${name}: ${have}${row.alive ? "" : ", offline"}`);
  }
}

function fitted(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && pen.measureText(`${text.slice(0, end)}…`).width > width) end -= 1;
  return `${text.slice(0, end)}…`;
}
