// One rollout: where it is, what it waits for, what the judge says, what may be done, and what happened.
import { actButtons } from "./acts.js";
import { weightBar } from "./charts.js";
import { ask, byId, make, odds, percent, plain, show, since, table, when, words } from "./dom.js";
import { evidenceOf, measured } from "./figures.js";
import { phase } from "./list.js";
import { runs } from "./runs.js";
import { revisions } from "./revisions.js";

export async function drawOne({ namespace, name, revision }) {
  const base = `rollouts/${namespace}/${name}`;
  byId("list").hidden = true;
  byId("one").hidden = false;
  try {
    const [detail, past] = await Promise.all([ask(base), ask(`${base}/past`)]);
    document.title = `${detail.row.phase}: ${namespace}/${name} - Seldon Rollouts`;
    const episode = revision ? past.find((each) => each.revision === revision) : null;
    if (revision && !episode) return nothing(`The history of ${namespace}/${name} knows nothing of revision ${revision} any more.`);
    show(byId("one"), await (episode ? pastPage(base, detail, past, episode) : presentPage(base, detail, past)));
  } catch (error) {
    if (error.status !== 404) throw error;
    nothing(`There is no rollout ${namespace}/${name}.`);
  }
}

function nothing(text) {
  document.title = "Seldon Rollouts";
  show(byId("one"), [make("p", {}, text)]);
}

async function presentPage(base, detail, past) {
  const [evidence, charts, acts, around] = await Promise.all([
    ask(`${base}/evidence`), ask(`${base}/charts`), ask(`${base}/acts`), ask(`${base}/around`).catch((error) => ({ problem: error.message, revisions: [], runs: [], events: [] })),
  ]);
  const last = detail.rejections[0];
  return [
    heading(detail, last),
    actButtons(detail.row, acts),
    ...(detail.metrics.length ? [sideBySide(detail)] : []),
    make("div", { class: "cards" }, ...evidenceOf(detail, evidence), ...measured(charts, names(detail, around.revisions), "No request was measured in the last 15 minutes.")),
    ...(last && !tells(detail, last) ? [rollback(last)] : []),
    ...(around.runs.length ? [runs(detail, around.runs)] : []),
    revisions(detail, around),
    episodes(detail.row, past),
    history("What happened", detail.history),
    ...events(around.events, detail.history),
  ];
}

async function pastPage(base, detail, past, episode) {
  const span = new URLSearchParams({ began: episode.began, ...(episode.ended ? { ended: episode.ended } : {}) });
  const [evidence, charts, around] = await Promise.all([
    ask(`${base}/evidence`), ask(`${base}/charts?${span}`), ask(`${base}/around`).catch(() => ({ revisions: [], runs: [] })),
  ]);
  const of = around.revisions.filter((each) => each.number === episode.revision);
  const curve = evidence.filter((point) => of.some((each) => each.hash === point.revision));
  const ran = around.runs.filter((each) => of.some((revision) => revision.hash === each.revision));
  const where = `#/${detail.row.namespace}/${detail.row.name}`;
  return [
    make("section", {},
      make("h1", {}, `${detail.row.namespace}/${detail.row.name}, revision ${episode.revision} as it was`),
      make("p", { class: "message" }, `${episode.outcome || "under way"}: ${episode.message}`),
      make("p", { class: "soft message" }, `${when(episode.began)} to ${episode.ended ? when(episode.ended) : "now"} `, make("a", { href: where }, "back to the present"))),
    make("div", { class: "cards" }, ...(curve.length ? evidenceOf(detail, curve) : []), ...measured(charts, names(detail, around.revisions, then(past, episode)), "Prometheus has no figures of that time.")),
    ...(ran.length ? [runs(detail, ran)] : []),
    revisions(detail, { revisions: of }),
    history("What happened then", [...episode.entries].reverse()),
  ];
}

// Who was who at a past rollout, by the revisions' numbers.
function then(past, episode) {
  const before = past.slice(past.indexOf(episode) + 1).find((each) => each.outcome === "Promoted");
  return { [episode.revision]: "canary", ...(before ? { [before.revision]: "stable" } : {}) };
}

function names(detail, kept, roles = null) {
  // The one that was rejected last was the canary, and is drawn as such where no other one is.
  const newest = detail.revisions.some((each) => each.role === "canary") ? -1 : 0;
  const rejected = detail.rejections.map((each, index) => ({ ...each, role: index === newest ? "canary" : "other", deployment: `${detail.row.name}-${each.hash}` }));
  const known = [...kept, ...rejected.reverse(), ...detail.revisions];
  const found = (deployment) => known.findLast((each) => each.deployment === deployment);
  const role = (each) => (each && roles ? roles[each.number] : each?.role);
  return {
    kind: (deployment) => ({ stable: "stable", canary: "canary" })[role(found(deployment))] || "other",
    number: (deployment) => found(deployment)?.number || 0,
    name: (deployment) => (found(deployment) ? `revision ${found(deployment).number}` : deployment),
  };
}

const tells = (detail, last) => last && detail.row.message.includes(last.message);

function heading(detail, last) {
  const steps = detail.steps.map((step) => make("li", { class: step.state, "aria-current": step.state === "current" ? "step" : null }, step.title));
  return make("section", { class: tells(detail, last) ? "rollback" : null },
    make("h1", {}, `${detail.row.namespace}/${detail.row.name} `, phase(detail.row)),
    make("p", { class: "message" }, words(detail.headline)), ...(tells(detail, last) ? [takenOut(last)] : []),
    ...judge(detail), ...waits(detail.waits),
    make("p", { class: "message split" }, weightBar(detail.row.stableWeight, detail.row.canaryWeight, detail.row.mirror),
      make("span", { class: "soft" }, words(traffic(detail)))),
    make("ol", { class: "steps", "aria-label": "steps" }, steps));
}

// Is it better? A verdict, and why.
const MEANING = { Good: "as good as stable, or better", Bad: "worse than stable", Inconclusive: "not known yet", NoData: "there are no figures yet", Error: "the judge cannot ask" };

function judge({ row, judge }) {
  if (!row.verdict) return [];
  return [make("p", { class: "message" }, "Is it better? ", make("strong", { class: row.verdict }, row.verdict), words(`: ${judge || MEANING[row.verdict]}`))];
}

function waits(blocker) {
  if (!blocker) return [];
  const long = blocker.since ? ["Has waited ", since(blocker.since)] : ["Waits"];
  return [make("p", { class: "message waits" }, ...long, words(` for ${blocker.what}${blocker.message ? `: ${blocker.message}` : ""}`))];
}

function traffic({ row, revisions, observedPercent }) {
  if (!row.stableWeight && !row.canaryWeight) return "no revision has traffic yet";
  const canary = revisions.some((each) => each.role === "canary") ? `, canary ${plain(row.canaryWeight)} %` : "";
  const seen = observedPercent === null ? "" : ` (observed ${observedPercent.toFixed(1)} %)`;
  return `stable ${plain(row.stableWeight)} %${canary}${seen}${row.mirror ? `, mirrored ${plain(row.mirror)} %` : ""}`;
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
  const chances = detail.chances ? [able ? folded(detail.chances) : make("p", { class: "message waits" }, words(detail.chances))] : [];
  return make("section", { class: "judged" }, make("h2", {}, "What is judged"),
    ...(able ? [] : chances), table(["Metric", "Verdict", "Canary", "Stable", "Limit", "Evidence: worse", "Evidence: good", "Canary requests", "Stable requests"], rows, "what is judged"), ...(able ? chances : []));
}

// What one needs at a glance is its beginning; the figures are for who wants them.
function folded(text) {
  const [first, ...rest] = text.split("; ");
  if (!rest.length) return make("p", { class: "soft message" }, words(first));
  return make("details", { class: "soft", "data-key": "chances" }, make("summary", {}, words(first)), ...rest.map((each) => make("p", { class: "message" }, words(each))));
}

function rollback(last) {
  return make("section", { class: "rollback" }, make("h2", {}, `Last rollback: revision ${last.number}`),
    make("p", { class: "message" }, words(last.message)), takenOut(last));
}

const takenOut = (last) => make("p", { class: "soft message" }, since(last.at), ` ago, by ${last.by === "judge" ? "the judge" : last.by}${last.samples ? `, after ${last.samples.toLocaleString()} canary requests in ${last.window}` : ""}`);

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

// What the history tells, too, is not told twice; nothing where that is all.
function events(all, told) {
  const known = new Set(told.map((each) => `${each.type} ${each.message}`));
  const rows = all.filter((each) => !known.has(`${each.reason} ${each.message}`)).map((each) => make("tr", {}, make("td", { class: "time" }, when(each.at)), make("td", { class: each.type }, each.reason),
    make("td", {}, `${each.message}${each.count > 1 ? ` (${each.count} times)` : ""}`)));
  return rows.length ? [make("section", { class: "told" }, make("h2", {}, "Other events"), table(["When", "Reason", "Message"], rows, "other events"))] : [];
}
