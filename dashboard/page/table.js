// A table that is sorted, filtered and walked through with the arrow keys; rows are used again.

import { h, setAttribute, setText } from "/dom.js";
import { compare } from "/format.js";

const MOST_ROWS = 600; // Of more, the rest is counted; the filter finds them.
const PAGE_ROWS = 15;

// A column: { id, title, kind, value(row, key) to sort by, show(row, key) -> text or elements }
export class Table {
  #rows = new Map(); // Key to its element, and what its cells showed.
  #keys = [];

  constructor(label, columns, onOpen, sorted = columns[0].id, descending = false) {
    this.columns = columns;
    this.onOpen = onOpen;
    this.sorted = sorted;
    this.descending = descending;
    this.body = h("tbody", { role: "rowgroup" });
    this.more = h("p", { class: "more-rows", hidden: true });
    const heads = columns.map((column) => this.#head(column));
    this.heads = h("tr", { role: "row" }, heads);
    const table = h("table", { role: "table", "aria-label": label },
      h("thead", { role: "rowgroup" }, this.heads), this.body);
    this.element = h("div", { class: "sheet" }, table, this.more);
    this.body.addEventListener("click", (event) => this.#click(event));
    this.body.addEventListener("keydown", (event) => this.#key(event));
    this.body.addEventListener("focusin", (event) => this.#makeCurrent(event.target.closest("tr")));
  }

  #head(column) {
    const button = h("button", { type: "button", onclick: () => this.#sortBy(column) }, column.title);
    return h("th", { role: "columnheader", scope: "col", class: column.kind ?? "" }, button);
  }

  #sortBy(column) {
    this.descending = this.sorted === column.id ? !this.descending : Boolean(column.mostFirst);
    this.sorted = column.id;
    this.update(this.all);
  }

  // Show these rows, [key, row] each.
  update(entries) {
    this.all = [...entries];
    const column = this.columns.find((each) => each.id === this.sorted);
    const sign = this.descending ? -1 : 1;
    const valued = this.all.map(([key, row]) => [column.value(row, key), key, row]);
    valued.sort((one, other) => sign * compare(one[0], other[0]) || compare(one[1], other[1]));
    this.columns.forEach((each, place) => setAttribute(
      this.heads.children[place], "aria-sort",
      each === column ? (this.descending ? "descending" : "ascending") : null));
    const shown = valued.slice(0, MOST_ROWS);
    this.#keys = shown.map(([, key]) => key);
    this.#draw(shown);
    const left = valued.length - shown.length;
    this.more.hidden = left === 0;
    setText(this.more, left ? `${left} more are not shown; filter to find them` : "");
  }

  #draw(shown) {
    const wanted = new Set(this.#keys);
    for (const [key, { element }] of this.#rows) {
      if (wanted.has(key)) continue;
      element.remove();
      this.#rows.delete(key);
    }
    let next = this.body.firstElementChild;
    for (const [, key, row] of shown) {
      const element = this.#row(key, row);
      if (element === next) next = next.nextElementSibling;
      else this.body.insertBefore(element, next);
    }
    if (!this.body.querySelector("tr[tabindex='0']")) this.#makeCurrent(this.body.firstElementChild);
  }

  #row(key, row) {
    let known = this.#rows.get(key);
    if (!known) {
      const cells = this.columns.map((column) => h("td", {
        role: "cell", class: column.kind ?? "", "data-label": column.title,
      }));
      const element = h("tr", { role: "row", tabindex: "-1", "data-key": key }, cells);
      known = { element, cells, told: [] };
      this.#rows.set(key, known);
    }
    this.columns.forEach((column, place) => {
      const told = column.show(row, key);
      const signature = told instanceof Array ? told.map(outline).join("\n") : outline(told);
      if (known.told[place] === signature) return;
      known.told[place] = signature;
      known.cells[place].replaceChildren(...(told instanceof Array ? told : [told]));
      const isZero = column.isZero?.(row) ?? false;
      known.cells[place].className = [
        column.kind ?? "", isZero ? "zero" : "flowing", signature === "" ? "blank" : "",
      ].join(" ");
    });
    return known.element;
  }

  #click(event) {
    const row = event.target.closest("tr");
    if (row && !event.target.closest("a") && !String(getSelection())) this.onOpen(row.dataset.key);
  }

  #key(event) {
    const row = event.target.closest("tr");
    if (event.target !== row || event.ctrlKey || event.altKey || event.metaKey) return;
    const place = this.#keys.indexOf(row.dataset.key);
    const to = {
      ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: this.#keys.length - 1,
      PageDown: place + PAGE_ROWS, PageUp: place - PAGE_ROWS,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      const key = this.#keys[Math.max(0, Math.min(this.#keys.length - 1, to))];
      this.#rows.get(key).element.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.onOpen(row.dataset.key);
    }
  }

  // One row at a time is a stop of the Tab key.
  #makeCurrent(row) {
    if (!row) return;
    for (const other of this.body.querySelectorAll("tr[tabindex='0']")) other.tabIndex = -1;
    row.tabIndex = 0;
  }
}

const outline = (told) => (told instanceof Element ? told.outerHTML : String(told ?? ""));
