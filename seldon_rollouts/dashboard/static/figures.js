// Figures of one rollout: the evidence on each metric, the weight, and what Prometheus has of its revisions.
import { barChart, lineChart } from "./charts.js";
import { make, milliseconds, odds, percent, plain, words } from "./dom.js";

const seconds = (point) => Date.parse(point.at) / 1000;

export const evidenceOf = (detail, evidence) => [...detail.metrics.map((metric) => judged(metric, evidence, `${detail.judge} ${detail.row.message}`)), ...weights(evidence)];

function judged(metric, evidence, told) {
  const points = (field) => evidence.filter((point) => metric.name in point[field]).map((point) => [seconds(point), point[field][metric.name]]);
  const lines = [
    { name: "evidence that it is worse", kind: "canary", points: points("evidence") },
    { name: "evidence that it is good", kind: "stable", points: points("promote") },
  ];
  const limits = [{ value: metric.needed, kind: "limit", label: "rollback" }, { value: metric.promoteNeeded, kind: "goal", label: "good" }];
  if (metric.stepNeeded) limits.push({ value: metric.stepNeeded, kind: "goal", label: "next step" });
  const again = told.includes(metric.message);
  return make("section", {},
    make("h2", {}, `${metric.name}: `, make("span", { class: metric.verdict }, metric.verdict)),
    lineChart({ title: `Evidence on ${metric.name}`, lines, limits, log: true, floor: 1, format: odds }), legend(lines),
    ...(again ? [] : [make("p", { class: "message" }, words(metric.message))]));
}

// Nothing where all that the new revision got were copies, as in a shadow.
function weights(evidence) {
  if (!evidence.some((point) => point.weight)) return [];
  const lines = [
    { name: "configured", kind: "canary", steps: true, points: evidence.map((point) => [seconds(point), point.weight]) },
    { name: "observed", kind: "other", points: evidence.filter((point) => point.observed !== null).map((point) => [seconds(point), point.observed]) },
  ];
  return [make("section", {}, make("h2", {}, "Canary weight"),
    lineChart({ title: "Canary weight", lines, format: (value) => `${plain(value)} %` }), legend(lines))];
}

export function measured(charts, known, none) {
  const why = charts.problem || ((charts.requests || []).length ? "" : none);
  if (why) return [make("section", { class: "whole" }, make("h2", {}, "Requests, errors and latency"), make("p", { class: "soft message" }, why))];
  return [
    chart("Requests per second", charts.requests, known, plain),
    chart("Error rate", charts.errors, known, percent),
    chart("Latency p50", charts.p50, known, milliseconds),
    chart("Latency p99", charts.p99, known, milliseconds),
    spread(charts.spread, known),
  ];
}

function byRevision(series, known) {
  const sorted = [...(series || [])].sort((one, other) => known.number(one.deployment) - known.number(other.deployment));
  return sorted.map((each) => ({ ...each, name: known.name(each.deployment), kind: known.kind(each.deployment) }));
}

function chart(title, series, known, format) {
  const lines = byRevision(series, known).map((line) => ({ ...line, gap: gap(line.points) }));
  return make("section", {}, make("h2", {}, title), lineChart({ title, lines, format }), legend(lines));
}

// Where points are missing nothing was measured, and no line is drawn.
const MISSED = 2.5;

function gap(points) {
  const between = points.slice(1).map(([at], index) => at - points[index][0]);
  return MISSED * Math.min(...between, Infinity);
}

function spread(series, known) {
  const title = "How latency is spread", groups = byRevision(series, known);
  return make("section", {}, make("h2", {}, title), barChart({ title, groups, edge: milliseconds }), legend(groups));
}

const legend = (lines) => make("p", { class: "legend" }, lines.filter((line) => !line.points || line.points.length).map((line) => make("span", { class: line.kind }, line.name)));
