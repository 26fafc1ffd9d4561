// Numbers as people read them. Decimal units, as in all of shoal.

const STEPS = ["B", "kB", "MB", "GB", "TB", "PB"];

export function size(count) {
  if (count === null || count === undefined) return "–";
  let step = 0;
  while (count >= 999.5 && step < STEPS.length - 1) {
    count /= 1000;
    step += 1;
  }
  const digits = step === 0 || count >= 99.95 ? 0 : 1;
  return `${count.toFixed(digits)} ${STEPS[step]}`;
}

export const rate = (count) => `${size(count)}/s`;

export function age(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

export function percent(have, all) {
  if (!(all > 0)) return "";
  const share = Math.floor((100 * have) / all);
  return `${Math.max(0, Math.min(100, share))} %`;
}

export const share = (have, all) => (all > 0 ? Math.max(0, Math.min(1, have / all)) : 0);

export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

export function title(row) {
  return row.version ? `${row.name} v${row.version}` : row.name;
}

export const shortId = (id) => (id ? id.slice(0, 15) : "not announced yet");

const collator = new Intl.Collator("en", { numeric: true });
export const compare = (one, other) =>
  typeof one === "string" ? collator.compare(one, other) : one - other;
