// One rollout: where it is, what it waits for, what the judge says, what may be done, and what happened.
import { actButtons } from "./acts.js";
import { barChart, lineChart, weightBar } from "./charts.js";
import { ask, byId, make, milliseconds, odds, percent, plain, show, table, when, words } from "./dom.js";
import { phase } from "./list.js";
import { runs } from "./runs.js";
import { revisions } from "./revisions.js";

export async function drawOne({ namespace, name, revision }) {
  const base = `rollouts/${namespace}/${name}`;
  byId("list").hidden = true;
  byId("one").hidden = false;
  document.title = `${namespace}/${name} - Seldon Rollouts`;
  try {
    const [detail, past] = await Promise.all([ask(base), ask(`${base}/past`)]);
    const episode = revision ? past.find((each) => each.revision === revision) : null;
    if (revision && !episode) return nothing(`The history of ${namespace}/${name} knows nothing of revision ${revision} any more.`);
    show(byId("one"), await (episode ? pastPage(base, detail, episode) : presentPage(base, detail, past)));
  } catch (error) {
    if (error.status !== 404) throw error;
    nothing(`There is no rollout ${namespace}/${name}.`);
  }
}

function nothing(text) {
  show(byId("one"), [make("p", {}, text)]);
}

async function presentPage(base, detail, past) {
  const [evidence, charts, acts, around] = await Promise.all([
    ask(`${base}/evidence`), ask(`${base}/charts`), ask(`${base}/acts`), ask(`${base}/around`).catch((error) => ({ problem: error.message, revisions: [], runs: [], events: [] })),
  ]);
  return [
    heading(detail),
    actButtons(detail.row, acts),
    ...(detail.rejections.length ? [rollback(detail.rejections[0])] : []),
    ...(detail.metrics.length ? [sideBySide(detail)] : []),
    make("div", { class: "cards" }, ...detail.metrics.map((metric) => judged(metric, evidence)), ...weights(evidence), ...measured(charts, names(detail, around.revisions))),
    ...(around.runs.length ? [runs(detail, around.runs)] : []),
    revisions(detail, around),
    episodes(detail.row, past),
    history("What happened", detail.history),
    events(around.events, detail.history),
  ];
}

async function pastPage(base, detail, episode) {
  const span = new URLSearchParams({ began: episode.began, ...(episode.ended ? { ended: episode.ended } : {}) });
  const [charts, around] = await Promise.all([ask(`${base}/charts?${span}`), ask(`${base}/around`).catch(() => ({ revisions: [], runs: [] }))]);
  const of = around.revisions.filter((each) => each.number === episode.revision);
  const ran = around.runs.filter((each) => of.some((revision) => revision.hash === each.revision));
  const where = `#/${detail.row.namespace}/${detail.row.name}`;
  return [
    make("section", {},
      make("h1", {}, `${detail.row.namespace}/${detail.row.name}, revision ${episode.revision} as it was`),
      make("p", { class: "message" }, `${episode.outcome || "under way"}: ${episode.message}`),
      make("p", { class: "soft message" }, `${when(episode.began)} to ${episode.ended ? when(episode.ended) : "now"} `, make("a", { href: where }, "back to the present"))),
    make("div", { class: "cards" }, ...measured(charts, names(detail, around.revisions))),
    ...(ran.length ? [runs(detail, ran)] : []),
    revisions(detail, { revisions: of }),
    history("What happened then", [...episode.entries].reverse()),
  ];
}

function names(detail, kept) {
  // The one that was rejected last was the canary, and is drawn as such where no other one is.
  const newest = detail.revisions.some((each) => each.role === "canary") ? -1 : 0;
  const rejected = detail.rejections.map((each, index) => ({ ...each, role: index === newest ? "canary" : "other", deployment: `${detail.row.name}-${each.hash}` }));
  const known = [...kept, ...rejected.reverse(), ...detail.revisions];
  return {
    kind: (deployment) => ({ stable: "stable", canary: "canary" })[known.findLast((each) => each.deployment === deployment)?.role] || "other",
    name: (deployment) => { const found = known.findLast((each) => each.deployment === deployment); return found ? `revision ${found.number}` : deployment; },
  };
}

// What is waited for: its kind alone where the sentence above it says the rest.
function untold(blocker, message) {
  const [kind, ...rest] = blocker.split(": ");
  const what = kind === "person" ? "a person" : kind;
  return message.includes(rest.join(": ")) ? what : [what, ...rest].join(": ");
}

function heading(detail) {
  const steps = detail.steps.map((step) => make("li", { class: step.state, "aria-current": step.state === "current" ? "step" : null }, step.title));
  const seen = detail.observedPercent === null ? "" : `, observed ${detail.observedPercent.toFixed(1)} %`;
  const canary = detail.revisions.some((each) => each.role === "canary") ? `, canary ${plain(detail.row.canaryWeight)} %` : "";
  const mirror = detail.row.mirror ? `, mirrored ${plain(detail.row.mirror)} %` : "";
  return make("section", {},
    make("h1", {}, `${detail.row.namespace}/${detail.row.name} `, phase(detail.row)),
    make("p", { class: "message" }, words(detail.row.message)),
    ...(detail.blockedOn ? [make("p", { class: "message waits" }, words(`waits for ${untold(detail.blockedOn, detail.row.message)}`))] : []),
    make("p", { class: "message split" }, weightBar(detail.row.stableWeight, detail.row.canaryWeight, detail.row.mirror),
      make("span", { class: "soft" }, words(`stable ${plain(detail.row.stableWeight)} %${canary}${seen}${mirror}`))),
    make("ol", { class: "steps", "aria-label": "steps" }, steps));
}

// Shares are told in percent; a reward or an index is a number of its own.
const SHARES = ["errorRate", "latency", "clientErrorRate", "outlierRate", "shadowAgreement", "traffic"];

function sideBySide(detail) {
  const told = (each, value) => (value === null ? "" : SHARES.includes(each.name) ? percent(value) : plain(value));
  const rows = detail.metrics.map((each) => make("tr", {},
    make("td", {}, each.name), make("td", { class: each.verdict }, each.verdict),
    ...[told(each, each.canary), told(each, each.stable), told(each, each.limit) || "stable", odds(each.evidence), odds(each.promoteEvidence), each.canaryRequests.toLocaleString(), each.stableRequests.toLocaleString()]
      .map((text) => make("td", { class: "number" }, text))));
  const able = detail.chances.startsWith("It can ");
  const chances = detail.chances ? [make("p", { class: able ? "soft message" : "message waits" }, words(detail.chances))] : [];
  return make("section", {}, make("h2", {}, "What is judged"),
    ...(able ? [] : chances), table(["Metric", "Verdict", "Canary", "Stable", "Limit", "Evidence: worse", "Evidence: good", "Canary requests", "Stable requests"], rows, "what is judged"), ...(able ? chances : []));
}

function rollback(last) {
  return make("section", { class: "rollback" },
    make("h2", {}, `Last rollback: revision ${last.number}`),
    make("p", { class: "message" }, words(last.message)),
    make("p", { class: "soft message" }, `${when(last.at)}, by ${last.by}${last.samples ? `, after ${last.samples} canary requests in ${last.window}` : ""}`));
}

const measured = (charts, known) => charts.problem ? [make("section", {}, make("h2", {}, "Requests, errors and latency"), make("p", { class: "soft" }, charts.problem))] : [
  chart("Requests per second", charts.requests, known, plain),
  chart("Error rate", charts.errors, known, percent),
  chart("Latency p50", charts.p50, known, milliseconds),
  chart("Latency p99", charts.p99, known, milliseconds),
  spread(charts, known),
];

function chart(title, series, known, format) {
  const lines = (series || []).map((each) => ({ name: known.name(each.deployment), kind: known.kind(each.deployment), points: each.points }));
  return make("section", {}, make("h2", {}, title), lineChart({ title, lines, format }), legend(lines));
}

function spread(charts, known) {
  const groups = (charts.spread || []).map((each) => ({ name: known.name(each.deployment), kind: known.kind(each.deployment), bars: each.bars }));
  return make("section", {}, make("h2", {}, "How latency is spread"), barChart({ title: "How latency is spread", groups, edge: milliseconds }), legend(groups));
}

const legend = (lines) => make("p", { class: "legend" }, lines.filter((line) => !line.points || line.points.length).map((line) => make("span", { class: line.kind }, line.name)));

// Nothing where all that the new revision got were copies, as in a shadow.
function weights(evidence) {
  if (evidence.length && !evidence.some((point) => point.weight)) return [];
  const at = (point) => Date.parse(point.at) / 1000;
  const lines = [
    { name: "configured", kind: "canary", points: evidence.map((point) => [at(point), point.weight]) },
    { name: "observed", kind: "other", points: evidence.filter((point) => point.observed !== null).map((point) => [at(point), point.observed]) },
  ];
  return [make("section", {}, make("h2", {}, "Canary weight"),
    lineChart({ title: "Canary weight", lines, format: (value) => `${plain(value)} %` }), legend(lines))];
}

function judged(metric, evidence) {
  const points = (field) => evidence.filter((point) => metric.name in point[field]).map((point) => [Date.parse(point.at) / 1000, point[field][metric.name]]);
  const lines = [
    { name: "evidence that it is worse", kind: "canary", points: points("evidence") },
    { name: "evidence that it is good", kind: "stable", points: points("promote") },
  ];
  const limits = [{ value: metric.needed, kind: "limit", label: "rollback" }, { value: metric.promoteNeeded, kind: "goal", label: "good" }];
  if (metric.stepNeeded) limits.push({ value: metric.stepNeeded, kind: "goal", label: "next step" });
  return make("section", {},
    make("h2", {}, `${metric.name}: `, make("span", { class: metric.verdict }, metric.verdict)),
    make("p", { class: "message" }, words(metric.message)),
    lineChart({ title: `Evidence on ${metric.name}`, lines, limits, log: true, floor: 1, format: odds }), legend(lines));
}

function episodes(row, past) {
  const rows = past.map((each) => make("tr", {},
    make("td", { class: "time" }, make("a", { href: `#/${row.namespace}/${row.name}/past/${each.revision}` }, `revision ${each.revision}`)),
    make("td", {}, each.outcome || "under way"), make("td", { class: "time" }, when(each.began)), make("td", {}, words(each.message))));
  return make("section", { class: "told" }, make("h2", {}, "Rollouts so far"), table(["Revision", "Outcome", "Began", "Why"], rows, "rollouts so far"));
}

function history(title, all) {
  const rows = all.map((each) => make("tr", {},
    make("td", { class: "time" }, when(each.at)), make("td", {}, each.type), make("td", {}, words(each.message))));
  return make("section", { class: "told" }, make("h2", {}, title), table(["When", "What", "Why"], rows, title));
}

// What the history tells, too, is not told twice.
function events(all, told) {
  const known = new Set(told.map((each) => `${each.type} ${each.message}`));
  const rows = all.filter((each) => !known.has(`${each.reason} ${each.message}`)).map((each) => make("tr", {}, make("td", { class: "time" }, when(each.at)), make("td", { class: each.type }, each.reason),
    make("td", {}, `${each.message}${each.count > 1 ? ` (${each.count} times)` : ""}`)));
  return make("section", { class: "told" }, make("h2", {}, "Other events"), rows.length ? table(["When", "Reason", "Message"], rows, "other events") : make("p", { class: "soft" }, "None."));
}
