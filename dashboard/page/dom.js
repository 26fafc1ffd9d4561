// Elements. Text only ever becomes text: nothing that others wrote is read as HTML.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function svg(tag, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Sets what has changed alone: the browser lays out less, and a screen reader repeats nothing.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function state(kind, text) {
  return h("span", { class: "state", "data-is": kind }, text);
}

// A bar of parts, [kind, share of 1]. For those who see it: the cell's text says the same.
export function bar(parts) {
  const element = h("span", { class: "bar", "aria-hidden": "true" });
  for (const [kind, share] of parts) {
    if (!(share > 0)) continue;
    const part = h("i", { "data-is": kind });
    part.style.width = `${Math.min(100, 100 * share).toFixed(2)}%`;
    element.append(part);
  }
  return element;
}

const probe = h("span", { hidden: true });

// The colours of the theme, as canvases need them.
export function colours(...names) {
  if (!probe.isConnected) document.body.append(probe);
  return Object.fromEntries(names.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  }));
}
