// Charts as plain SVG: a line for each series, an axis with few words, and a text for those who cannot see it.
const NS = "http://www.w3.org/2000/svg";
const WIDTH = 360, HEIGHT = 170, LEFT = 52, RIGHT = 8, TOP = 20, BOTTOM = 22;
const LEAST_STEP = 0.001;

function node(name, attributes, ...children) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const nothing = () => {
  const said = document.createElement("p");
  said.className = "soft message";
  said.append("Nothing was measured yet.");
  return said;
};

// lines: [{name, kind: stable|canary|other, points: [[seconds, value]], steps: a value holds until the next one,
// gap: seconds without a point after which the line begins anew}];
// limits: [{value, kind: limit|goal, label}]
// On a scale of odds, what is outside of `least` and `most` is drawn at them: how much more says nothing.
export function lineChart({ title, lines, limits = [], format = String, log = false, floor = 0, least = 1e-2, most = 1e4 }) {
  const scale = log ? (value) => Math.log10(Math.min(Math.max(value, least), most)) : (value) => value;
  const all = lines.flatMap((line) => line.points);
  if (!all.length) return nothing();
  const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": describe(title, lines, format) });
  const times = all.map(([at]) => at);
  const values = [...all.map(([, value]) => scale(value)), ...limits.map((limit) => scale(limit.value)), scale(floor)];
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const marks = ticks(Math.min(...values), Math.max(...values), log ? 1 : 0);
  const low = marks[0], high = marks.at(-1);
  const x = (at) => LEFT + ((at - first) / Math.max(last - first, 1)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((scale(value) - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  for (const value of marks) {
    const at = HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    svg.append(node("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }));
    svg.append(node("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, format(log ? 10 ** value : value)));
  }
  svg.append(node("text", { x: LEFT, y: HEIGHT - 6 }, clock(first)));
  svg.append(node("text", { x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, clock(last)));
  for (const limit of limits) svg.append(node("line", { class: limit.kind, x1: LEFT, x2: WIDTH - RIGHT, y1: y(limit.value), y2: y(limit.value) }));
  for (const line of lines) {
    const begins = (index) => !index || line.points[index][0] - line.points[index - 1][0] > (line.gap || Infinity);
    const to = (at, value) => (line.steps ? `H${x(at).toFixed(1)}V${y(value).toFixed(1)}` : `L${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
    const path = line.points.map(([at, value], index) => (!begins(index) ? to(at, value) : `M${x(at).toFixed(1)} ${y(value).toFixed(1)}`)).join("");
    svg.append(node("path", { class: line.kind, d: path }));
    if (line.points.length === 1) svg.append(node("circle", { class: line.kind, cx: x(line.points[0][0]), cy: y(line.points[0][1]), r: 3 }));
  }
  limits.forEach((limit, index) => {  // above all lines, in turn at the left and at the right, since two may be near
    const at = index % 2 ? { x: WIDTH - RIGHT - 4, "text-anchor": "end" } : { x: LEFT + 4 };
    svg.append(node("text", { class: "label", y: y(limit.value) - 4, ...at }, limit.label));
  });
  return svg;
}

// Round numbers from below all values to above them, at most five; with `least`, no step is smaller.
function ticks(low, high, least) {
  const rough = Math.max((high - low) / 4, least || LEAST_STEP), size = 10 ** Math.floor(Math.log10(rough));
  const step = least ? Math.ceil(rough) : size * [1, 2, 5, 10].find((each) => each * size >= rough * 0.999);
  const from = Math.floor(low / step + 1e-9), to = Math.max(Math.ceil(high / step - 1e-9), from + 1);
  return Array.from({ length: to - from + 1 }, (_, index) => (from + index) * step);
}

// groups: [{name, kind, bars: [{upto, share}]}], all with the same edges; one bar a group at each edge.
export function barChart({ title, groups, edge }) {
  const edges = [...new Set(groups.flatMap((group) => group.bars.filter((bar) => bar.share > 0).map((bar) => bar.upto)))].sort((a, b) => (a < 0) - (b < 0) || a - b);
  if (!edges.length) return nothing();
  const told = groups.map((group) => `${group.name} mostly ${said(group.bars.reduce((most, bar) => (bar.share > most.share ? bar : most), { share: -1 }), edge)}`);
  const svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${told.join(", ") || "nothing yet"}` });
  const most = Math.max(...groups.flatMap((group) => group.bars.map((bar) => bar.share)));
  const slot = (WIDTH - LEFT - RIGHT) / edges.length, width = (slot * 0.8) / groups.length, ground = HEIGHT - BOTTOM;
  for (const part of [0, 0.5, 1]) {
    const at = ground - part * (ground - TOP);
    svg.append(node("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }));
    svg.append(node("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, `${(100 * part * most).toFixed(0)} %`));
  }
  const every = Math.ceil(edges.length / 5);
  edges.forEach((upto, index) => {
    const left = LEFT + index * slot + slot * 0.1;
    groups.forEach((group, place) => {
      const share = group.bars.find((bar) => bar.upto === upto)?.share || 0, height = (share / most) * (ground - TOP);
      svg.append(node("rect", { class: group.kind, x: left + place * width, y: ground - height, width: Math.max(width - 1, 1), height }));
    });
    if (index % every === 0) svg.append(node("text", { x: left + slot * 0.4, y: HEIGHT - 6, "text-anchor": "middle" }, upto < 0 ? "more" : edge(upto)));
  });
  return svg;
}

const said = (bar, edge) => (bar.upto < 0 ? "longer than all edges" : `within ${edge(bar.upto)}`);

export function weightBar(stable, canary, mirror = 0) {
  const copies = mirror ? `, ${mirror} percent mirrored` : "";
  const svg = node("svg", { class: "bar", viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "img", "aria-label": `stable ${stable} percent, canary ${canary} percent${copies}` });
  svg.append(node("rect", { class: "stable", x: 0, y: 0, width: stable, height: 8 }));
  svg.append(node("rect", { class: "canary", x: stable, y: 0, width: canary, height: 8 }));
  if (mirror) svg.append(node("rect", { class: "mirrored", x: 0, y: 5.5, width: mirror, height: 2.5 }));
  return svg;
}

// A graph from its root at the left to its leaves at the right.
export function graphChart(root) {
  const BOX = 190, GAP = 44, ROW = 62, TALL = 48;
  const placed = [];
  let leaves = 0, depth = 0;
  (function place(each, level) {
    depth = Math.max(depth, level);
    const children = each.children.map((child) => place(child, level + 1));
    const found = { each, x: level * (BOX + GAP), y: children.length ? (children[0].y + children.at(-1).y) / 2 : ROW * leaves++, children };
    placed.push(found);
    return found;
  })(root, 0);
  const width = (depth + 1) * (BOX + GAP) - GAP + 2, height = leaves * ROW;
  const words = placed.map(({ each }) => `${each.name} ${kindOf(each)}`);
  const svg = node("svg", { class: "graph", viewBox: `-1 -1 ${width} ${height}`, width, height, role: "img", "aria-label": `graph: ${words.reverse().join(", ")}` });
  for (const { x, y, children } of placed) {
    for (const child of children) {
      svg.append(node("path", { class: "edge", d: `M${x + BOX} ${y + TALL / 2}C${x + BOX + GAP / 2} ${y + TALL / 2} ${child.x - GAP / 2} ${child.y + TALL / 2} ${child.x} ${child.y + TALL / 2}` }));
    }
  }
  for (const { each, x, y } of placed) {
    const what = each.modelUri || each.image;
    svg.append(node("g", {}, node("title", {}, `${each.name}: ${kindOf(each)} ${what}`),
      node("rect", { class: "node", x, y, width: BOX, height: TALL, rx: 5 }),
      node("text", { class: "name", x: x + 8, y: y + 19 }, shorten(`${each.name}  ${kindOf(each)}`, 30)),
      node("text", { x: x + 8, y: y + 36 }, shorten(what, 32))));
  }
  return svg;
}

const kindOf = (each) => each.implementation || each.type || "MODEL";
const shorten = (text, most) => (text.length > most ? `…${text.slice(1 - most)}` : text);

function describe(title, lines, format) {
  const ends = lines.filter((line) => line.points.length).map((line) => `${line.name} ${format(line.points.at(-1)[1])}`);
  return `${title}: ${ends.join(", ") || "nothing yet"}`;
}

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
