// Revisions: role, weight and pods; each one's graph, its difference from stable, its pods in their own words.
import { graphChart } from "./charts.js";
import { make, plain, table } from "./dom.js";

export function revisions(detail, around) {
  const standing = new Map(detail.revisions.map((each) => [each.hash, each]));
  const known = around.revisions.length ? around.revisions : detail.revisions.map((each) => ({ ...each, predictors: [], diff: [], pods: [] }));
  return make("section", {}, make("h2", {}, "Revisions"),
    ...(around.problem ? [make("p", { class: "soft" }, around.problem)] : []),
    ...(known.length ? [] : [make("p", { class: "soft" }, "None yet.")]),
    ...known.map((each) => revision(each, standing.get(each.hash))));
}

function revision(each, standing) {
  const pods = standing ? `${plain(standing.weight)} % of traffic, ${standing.ready} of ${standing.replicas} pods ready` : "no pods";
  const why = standing && standing.message ? `: ${standing.message}` : "";
  return make("details", { "data-key": `${each.number}` },
    make("summary", {}, make("strong", {}, `revision ${each.number}`), ` ${each.role} `, make("span", { class: "soft" }, `${pods}${why} (${each.deployment})`)),
    ...each.predictors.map(predictor),
    ...(each.diff.length ? [make("h3", {}, "Against stable"), diff(each.diff)] : []),
    ...(each.pods.length ? [make("h3", {}, "Pods"), pods_(each.pods)] : []));
}

function predictor(each) {
  const kind = each.shadow ? ", shadow" : "";
  return make("figure", {}, make("figcaption", {}, `predictor ${each.name}${kind}, ${each.replicas} ${each.replicas === 1 ? "replica" : "replicas"}`), graphChart(each.graph));
}

function diff(lines) {
  return make("pre", { class: "diff", tabindex: 0, "aria-label": "difference from stable" }, lines.map((line) => {
    const sign = { added: "+", removed: "-", same: " ", skipped: "" }[line.kind];
    return make("span", { class: line.kind }, `${sign}${line.text}\n`);
  }));
}

function pods_(pods) {
  const rows = pods.map((each) => make("tr", {}, make("td", {}, each.name), make("td", {}, each.ready ? "ready" : each.phase),
    make("td", {}, `${each.restarts}`), make("td", { class: each.message ? "Bad" : null }, each.message)));
  return table(["Pod", "State", "Restarts", "What it says"], rows, "pods");
}
