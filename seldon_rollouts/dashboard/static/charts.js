// Charts as plain SVG: a line for each series, an axis with few words, and a text for those who cannot see it.
const NS = "http://www.w3.org/2000/svg";
const WIDTH = 520, HEIGHT = 170, LEFT = 52, RIGHT = 8, TOP = 10, BOTTOM = 22;

function node(name, attributes, ...children) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// lines: [{name, kind: stable|canary|other, points: [[seconds, value]]}]; limits: [{value, kind: limit|goal, label}]
export function lineChart({ title, lines, limits = [], format = String, log = false, floor = 0 }) {
  const scale = log ? (value) => Math.log10(Math.max(value, 1e-3)) : (value) => value;
  const all = lines.flatMap((line) => line.points);
  const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": describe(title, lines, format) });
  if (!all.length) {
    svg.append(node("text", { x: LEFT, y: HEIGHT / 2 }, "nothing was measured yet"));
    return svg;
  }
  const times = all.map(([at]) => at);
  const values = [...all.map(([, value]) => scale(value)), ...limits.map((limit) => scale(limit.value)), scale(floor)];
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const low = Math.min(...values), high = Math.max(...values, low + (log ? 1 : 1e-9));
  const x = (at) => LEFT + ((at - first) / Math.max(last - first, 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((scale(value) - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  for (const part of [0, 0.5, 1]) {
    const at = HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
    const value = low + part * (high - low);
    svg.append(node("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }));
    svg.append(node("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, format(log ? 10 ** value : value)));
  }
  svg.append(node("text", { x: LEFT, y: HEIGHT - 6 }, clock(first)));
  svg.append(node("text", { x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, clock(last)));
  for (const limit of limits) {
    svg.append(node("line", { class: limit.kind, x1: LEFT, x2: WIDTH - RIGHT, y1: y(limit.value), y2: y(limit.value) }));
    svg.append(node("text", { x: WIDTH - RIGHT, y: y(limit.value) - 4, "text-anchor": "end" }, limit.label));
  }
  for (const line of lines) {
    const path = line.points.map(([at, value], index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    svg.append(node("path", { class: line.kind, d: path }));
  }
  return svg;
}

export function weightBar(stable, canary) {
  const svg = node("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "img", "aria-label": `stable ${stable} percent, canary ${canary} percent` });
  svg.append(node("rect", { class: "stable", x: 0, y: 0, width: stable, height: 8 }));
  svg.append(node("rect", { class: "canary", x: stable, y: 0, width: canary, height: 8 }));
  return svg;
}

function describe(title, lines, format) {
  const ends = lines.filter((line) => line.points.length).map((line) => `${line.name} ${format(line.points.at(-1)[1])}`);
  return `${title}: ${ends.join(", ") || "nothing yet"}`;
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
