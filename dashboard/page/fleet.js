// All nodes as small squares, for a first look. The table below has the same in words.

import { colours, h } from "/dom.js";
import { compare } from "/format.js";
import { kindOf, wordOf } from "/model.js";

const GAP = 3;
const MOST_PX = 22;
const LEAST_PX = 9;
const ROWS = 5; // About so many rows of squares, whatever the number of nodes.

export class Fleet {
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.canvas = h("canvas", { class: "fleet", role: "img" });
    this.canvas.addEventListener("mousemove", (event) => this.#point(event));
    this.canvas.addEventListener("click", (event) => {
      const name = this.#at(event);
      if (name) onOpen(name);
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  update(nodes, label) {
    this.nodes = [...nodes].sort((one, other) => compare(one[0], other[0]));
    this.label = label;
    this.draw();
  }

  draw() {
    if (!this.nodes?.length) return;
    const width = this.canvas.clientWidth;
    if (!width) return;
    const most = Math.sqrt((width * ROWS * MOST_PX) / this.nodes.length);
    this.step = Math.max(LEAST_PX, Math.min(MOST_PX, Math.floor(most))) + GAP;
    this.across = Math.max(1, Math.floor((width + GAP) / this.step));
    const down = Math.ceil(this.nodes.length / this.across);
    const scale = devicePixelRatio || 1;
    const height = down * this.step - GAP;
    if (this.canvas.style.height !== `${height}px`) this.canvas.style.height = `${height}px`;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.setAttribute("aria-label", this.label);
    const pen = this.canvas.getContext("2d");
    const { have, flow, wait, fail, off } = colours("have", "flow", "wait", "fail", "off");
    const fills = { idle: have, flow, wait, fail, off };
    pen.scale(scale, scale);
    this.nodes.forEach(([, node], place) => {
      const kind = kindOf(node);
      const side = this.step - GAP;
      const x = (place % this.across) * this.step;
      const y = Math.floor(place / this.across) * this.step;
      pen.globalAlpha = kind === "idle" && !node.sent ? 0.5 : 1;
      pen.fillStyle = fills[kind];
      pen.beginPath();
      if (kind === "never") {
        pen.strokeStyle = off;
        pen.roundRect(x + 0.5, y + 0.5, side - 1, side - 1, 3);
        pen.stroke();
        return;
      }
      pen.roundRect(x, y, side, side, 3);
      pen.fill();
    });
  }

  #at(event) {
    const x = Math.floor(event.offsetX / this.step);
    const y = Math.floor(event.offsetY / this.step);
    return x < this.across ? this.nodes?.[y * this.across + x]?.[0] : undefined;
  }

  #point(event) {
    const name = this.#at(event);
    const node = this.nodes?.find(([each]) => each === name)?.[1];
    this.canvas.title = node ? `${name}: ${wordOf(node)}` : "";
    this.canvas.style.cursor = name ? "pointer" : "default";
  }
}
