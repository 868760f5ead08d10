// Elements, words for numbers, and questions to the API. Every text goes in as text.
export const byId = (id) => document.getElementById(id);

export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children.flat());
  return made;
}

// Heads of columns of numbers stand above them, at the right.
export function table(head, rows, label) {
  if (!rows.length) return make("p", { class: "soft" }, "Nothing yet.");
  const numbers = [...rows[0].cells].map((cell) => cell.className === "number");
  for (const row of rows) [...row.cells].forEach((cell, index) => { cell.dataset.head = head[index]; });
  const heads = head.map((text, index) => make("th", { scope: "col", class: numbers[index] ? "number" : null }, text));
  return make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
    make("table", {}, make("thead", {}, make("tr", {}, heads)), make("tbody", {}, rows)));
}

// Put sections in the place of those that are shown; one that says the same stays, with its focus and what is open in it.
export function show(container, sections) {
  sections.forEach((fresh, index) => {
    const shown = container.children[index];
    if (!shown) container.append(fresh);
    else if (!shown.isEqualNode(asShown(fresh, shown))) shown.replaceWith(fresh);
  });
  while (container.children.length > sections.length) container.lastElementChild.remove();
}

function asShown(fresh, shown) {
  const open = new Set([...shown.querySelectorAll("details[open]")].map((each) => each.dataset.key));
  for (const each of fresh.querySelectorAll("details")) each.open = open.has(each.dataset.key);
  return fresh;
}

const PATIENCE_SECONDS = 60;

export async function ask(path, { method = "GET", body } = {}) {
  const headers = { accept: "application/json", ...(body ? { "content-type": "application/json" } : {}) };
  const signal = AbortSignal.timeout(PATIENCE_SECONDS * 1000);
  const answer = await fetch(`api/v1/${path}`, { method, headers, body: body && JSON.stringify(body), signal });
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const said = await answer.json().catch(() => ({}));
  const detail = typeof said.detail === "string" ? said.detail : JSON.stringify(said.detail || "");
  throw Object.assign(new Error(detail || `${answer.status}`), { status: answer.status });
}

export function age(instant) {
  const at = typeof instant === "number" ? instant : Date.parse(instant), seconds = Math.max(0, (Date.now() - at) / 1000);
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60]]) if (seconds >= 2 * size) return `${Math.floor(seconds / size)}${unit}`;
  return Number.isFinite(seconds) ? `${Math.floor(seconds)}s` : "";
}

// How long ago, or how long it has been; with the instant for those who point at it.
export const since = (instant) => make("time", { datetime: instant, title: when(instant) }, age(instant));
export const when = (instant) => new Date(instant).toLocaleString();
export const plain = (value) => String(Math.round(value * 100) / 100);
export const percent = (value) => `${Number(value < 0.01 ? (100 * value).toPrecision(2) : (100 * value).toFixed(1))} %`;
export const milliseconds = (value) => `${Number((1000 * value).toFixed(value < 0.01 ? 1 : 0))} ms`;
const MOST = 1e6;
const thousands = (value) => (value > MOST ? "over 1M" : value === MOST ? "1M" : value >= 1000 ? `${Math.round(value / 1000)}k` : `${Number(value.toFixed(value < 10 ? 1 : 0))}`);
export const odds = (value) => (value >= 1 ? `${thousands(value)}:1` : `1:${thousands(1 / value)}`);
// A number and its unit stay on one line.
export const words = (text) => text.replace(/(\d) (%|ms\b|s\b)/g, "$1\u00a0$2");
