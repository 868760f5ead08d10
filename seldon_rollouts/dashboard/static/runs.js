// AnalysisRuns: where each stands and why, and what each of its metrics measured.
import { make, table, when } from "./dom.js";

const SHOWN = 10;

export function runs(detail, all) {
  const number = new Map(detail.revisions.map((each) => [each.hash, each.number]));
  return make("section", { class: "runs" }, make("h2", {}, "Analysis runs"), ...all.slice(0, SHOWN).map((each) => run(each, number.get(each.revision))));
}

function run(each, number) {
  const about = [number ? `revision ${number}` : "", each.role.replace("-", " ")].filter(Boolean).join(", ");
  const span = each.ended ? `${when(each.began)} to ${when(each.ended)}` : `since ${when(each.began)}`;
  return make("details", { "data-key": each.name },
    make("summary", {}, make("strong", { class: look(each.phase) }, each.phase), ` ${about} `, make("span", { class: "soft" }, `${each.message ? `${each.message}; ` : ""}${span} (${each.name})`)),
    table(["Metric", "Phase", "Last value", "Good", "Bad", "Unclear", "Errors", "Why"], each.metrics.map(metric), `metrics of ${each.name}`));
}

function metric(each) {
  const cells = [each.name + (each.dryRun ? " (dry run)" : ""), each.phase, each.value, each.successful, each.failed, each.inconclusive, each.error, each.message];
  return make("tr", {}, cells.map((text, index) => make("td", { class: index === 1 ? look(each.phase) : null }, `${text}`)));
}

// The words of verdicts have colours already.
const look = (phase) => ({ Successful: "Good", Failed: "Bad", Error: "Error", Inconclusive: "Inconclusive" })[phase] || null;
