// Draws what /api/v1 says, and draws again when it says that something has changed. Every text goes in as text.
import { lineChart, weightBar } from "./charts.js";

const CHART_SECONDS = 3;
const byId = (id) => document.getElementById(id);
let drawing = Promise.resolve();

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.flat());
  return made;
}

async function ask(path) {
  const answer = await fetch(`api/v1/${path}`, { headers: { accept: "application/json" } });
  if (!answer.ok) throw Object.assign(new Error(`${answer.status}`), { status: answer.status });
  return answer.json();
}

function place() {
  const [, namespace, name] = /^#\/([a-z0-9.-]+)\/([a-z0-9.-]+)$/.exec(location.hash) || [];
  return name ? { namespace, name } : null;
}

// Draws do not overlap, and one that fails does not stop the next.
function draw() {
  drawing = drawing.then(() => (place() ? drawOne(place()) : drawList())).catch((error) => live(`no answer (${error.message})`));
  return drawing;
}

async function drawList() {
  byId("one").hidden = true;
  byId("list").hidden = false;
  document.title = "Seldon Rollouts";
  const query = new URLSearchParams({ namespace: byId("namespace").value, search: byId("search").value, limit: 200 });
  const page = await ask(`rollouts?${query}`);
  byId("rows").replaceChildren(...page.items.map(row));
  byId("empty").hidden = page.items.length > 0;
  byId("count").textContent = page.items.length < page.total ? `${page.items.length} of ${page.total}` : `${page.total}`;
  const chosen = byId("namespace").value;
  const options = page.namespaces.map((each) => make("option", { value: each }, each));
  byId("namespace").replaceChildren(make("option", { value: "" }, "all"), ...options);
  byId("namespace").value = page.namespaces.includes(chosen) ? chosen : "";
}

function row(each) {
  return make("tr", {},
    make("td", {}, make("a", { href: `#/${each.namespace}/${each.name}` }, `${each.namespace}/${each.name}`)),
    make("td", {}, phase(each)),
    make("td", {}, each.step),
    make("td", {}, weightBar(each.stableWeight, each.canaryWeight), traffic(each)),
    make("td", { class: each.verdict }, each.verdict),
    make("td", {}, each.message));
}

function phase(each) {
  return make("span", { class: `phase ${each.urgency}` }, each.phase);
}

function traffic(each) {
  const mirror = each.mirror ? `, ${each.mirror} % mirrored` : "";
  return make("span", { class: "soft" }, each.canaryWeight || each.mirror ? `${each.canaryWeight} % canary${mirror}` : "");
}

async function drawOne({ namespace, name }) {
  const base = `rollouts/${namespace}/${name}`;
  byId("list").hidden = true;
  byId("one").hidden = false;
  document.title = `${namespace}/${name} - Seldon Rollouts`;
  let found;
  try {
    found = await Promise.all([ask(base), ask(`${base}/evidence`), ask(`${base}/charts`)]);
  } catch (error) {
    if (error.status !== 404) throw error;
    byId("one").replaceChildren(make("p", {}, `There is no rollout ${namespace}/${name}.`));
    return;
  }
  const [detail, evidence, charts] = found;
  byId("one").replaceChildren(...page(detail, evidence, charts));
}

function page(detail, evidence, charts) {
  const kinds = Object.fromEntries(detail.revisions.map((each) => [each.deployment, each.role === "retired" ? "other" : each.role]));
  const known = [...detail.rejections.map((each) => ({ ...each, deployment: `${detail.row.name}-${each.hash}` })), ...detail.revisions];
  const names = Object.fromEntries(known.map((each) => [each.deployment, `revision ${each.number}`]));
  return [
    heading(detail),
    ...(detail.rejections.length ? [rollback(detail.rejections[0])] : []),
    make("div", { class: "cards" },
      chart("Requests per second", charts.requests, charts.problem, kinds, names, (value) => value.toFixed(0)),
      chart("Error rate", charts.errors, charts.problem, kinds, names, percent),
      chart("Latency p50", charts.p50, charts.problem, kinds, names, milliseconds),
      chart("Latency p99", charts.p99, charts.problem, kinds, names, milliseconds),
      weights(evidence),
      ...detail.metrics.map((metric) => judged(metric, evidence))),
    revisions(detail.revisions),
    history(detail.history),
  ];
}

function heading(detail) {
  const steps = detail.steps.map((step) => make("li", step.state === "current" ? { class: step.state, "aria-current": "step" } : { class: step.state }, step.title));
  const seen = detail.observedPercent === null ? "" : `, observed ${detail.observedPercent.toFixed(1)} %`;
  return make("section", {},
    make("h1", {}, `${detail.row.namespace}/${detail.row.name} `, phase(detail.row)),
    make("p", { class: "message" }, detail.row.message),
    make("p", { class: "soft message" }, `stable ${detail.row.stableWeight} %, canary ${detail.row.canaryWeight} %${seen}${detail.row.mirror ? `, mirrored ${detail.row.mirror} %` : ""}`),
    make("ol", { class: "steps", "aria-label": "steps" }, steps));
}

function rollback(last) {
  return make("section", { class: "rollback" },
    make("h2", {}, `Last rollback: revision ${last.number}`),
    make("p", { class: "message" }, last.message),
    make("p", { class: "soft message" }, `${new Date(last.at).toLocaleString()}, by ${last.by}${last.samples ? `, after ${last.samples} canary requests in ${last.window}` : ""}`));
}

function chart(title, series, problem, kinds, names, format) {
  const lines = (series || []).map((each) => ({ name: names[each.deployment] || each.deployment, kind: kinds[each.deployment] || "other", points: each.points }));
  return make("section", {}, make("h2", {}, title),
    problem ? make("p", { class: "soft" }, problem) : lineChart({ title, lines, format }),
    legend(lines));
}

function legend(lines) {
  return make("p", { class: "legend" }, lines.map((line) => make("span", { class: line.kind }, line.name)));
}

function weights(evidence) {
  const at = (point) => Date.parse(point.at) / 1000;
  const lines = [
    { name: "configured", kind: "canary", points: evidence.map((point) => [at(point), point.weight]) },
    { name: "observed", kind: "other", points: evidence.filter((point) => point.observed !== null).map((point) => [at(point), point.observed]) },
  ];
  return make("section", {}, make("h2", {}, "Canary weight, configured and observed"),
    lineChart({ title: "Canary weight", lines, format: (value) => `${Number(value.toFixed(value < 1 ? 2 : 1))} %` }), legend(lines));
}

function judged(metric, evidence) {
  const points = (field) => evidence.filter((point) => metric.name in point[field]).map((point) => [Date.parse(point.at) / 1000, point[field][metric.name]]);
  const lines = [
    { name: "evidence that it is worse", kind: "canary", points: points("evidence") },
    { name: "evidence that it is good", kind: "stable", points: points("promote") },
  ];
  const limits = [{ value: metric.needed, kind: "limit", label: "rollback" }, { value: metric.promoteNeeded, kind: "goal", label: "good" }];
  return make("section", {},
    make("h2", {}, `${metric.name}: `, make("span", { class: metric.verdict }, metric.verdict)),
    make("p", { class: "message" }, metric.message),
    lineChart({ title: `Evidence on ${metric.name}`, lines, limits, log: true, floor: 1, format: odds }), legend(lines));
}

function revisions(all) {
  const head = ["Revision", "Role", "Weight", "Pods", "Model", "SeldonDeployment"].map((text) => make("th", { scope: "col" }, text));
  const rows = all.map((each) => make("tr", {},
    make("td", {}, `${each.number}`), make("td", {}, each.role), make("td", {}, `${each.weight} %`),
    make("td", {}, `${each.ready} of ${each.replicas} ready`, each.message ? ` (${each.message})` : ""),
    make("td", {}, each.models.join(", ")), make("td", {}, each.deployment)));
  return make("section", {}, make("h2", {}, "Revisions"), make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows)));
}

function history(all) {
  const rows = all.map((each) => make("tr", {},
    make("td", {}, new Date(each.at).toLocaleTimeString()), make("td", {}, each.type), make("td", {}, each.message)));
  return make("section", {}, make("h2", {}, "What happened"), make("table", {}, make("tbody", {}, rows)));
}

const percent = (value) => `${(100 * value).toFixed(1)} %`;
const milliseconds = (value) => `${(1000 * value).toFixed(value < 0.01 ? 1 : 0)} ms`;
const odds = (value) => (value >= 1000 ? `${Math.round(value / 1000)}k:1` : value >= 1 ? `${value.toFixed(0)}:1` : `1:${(1 / value).toFixed(0)}`);

function live(text) {
  byId("live").textContent = text;
}

function listen() {
  const changes = new EventSource("api/v1/changes");
  changes.addEventListener("changed", () => { live("live"); draw(); });
  changes.onerror = () => live("reconnecting");
}

byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("search").addEventListener("input", draw);
byId("namespace").addEventListener("change", draw);
addEventListener("hashchange", draw);
setInterval(() => { if (place() && !document.hidden) draw(); }, CHART_SECONDS * 1000);
draw();
listen();
