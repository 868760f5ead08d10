// Where one is, and drawing again when the API says that something has changed.
import { drawSession, listenToActs } from "./acts.js";
import { age, byId } from "./dom.js";
import { drawList, listenToList } from "./list.js";
import { drawOne } from "./one.js";

const CHART_SECONDS = 3;
const LIST_SECONDS = 20;  // ages, and what has become stuck
const SILENT_SECONDS = 35;  // a dashboard gives a sign of life every 14
const RETRY_SECONDS = 2;
let heard = 0;
let drawing = Promise.resolve();
let queued = false;

function place() {
  const [, namespace, name, revision] = /^#\/([a-z0-9.-]+)\/([a-z0-9.-]+)(?:\/past\/(\d+))?$/.exec(location.hash) || [];
  return name ? { namespace, name, revision: revision ? Number(revision) : 0 } : null;
}

// Draws do not overlap, those that wait are one, and one that fails does not stop the next.
function draw() {
  if (queued) return drawing;
  queued = true;
  drawing = drawing.then(() => { queued = false; return place() ? drawOne(place()) : drawList(); }).catch((error) => {
    byId("live").textContent = error.status === 401 ? "sign in to see rollouts" : `no answer (${error.message})`;
    if (error.status === 401) signIn();
  });
  return drawing;
}

// Say that what is shown may be old: why, and when it was last as it is; nothing where it is as it should be.
function away(why, seen = heard) {
  byId("away").hidden = !why;
  if (why && byId("away-why").textContent !== why) byId("away-why").textContent = why;
  byId("away").dataset.seen = seen;
  tick();
}

function tick() {
  const seen = Number(byId("away").dataset.seen);
  if (!byId("away").hidden) byId("away-seen").textContent = seen ? `Last seen ${age(seen)} ago, at ${new Date(seen).toLocaleTimeString()}.` : "";
}

function alive() {
  heard = Date.now();
}

function listen() {
  const changes = new EventSource("api/v1/changes"), began = Date.now();
  const again = () => {
    clearInterval(watching);
    changes.close();
    listen();
  };
  const gone = () => {
    byId("live").textContent = "reconnecting";
    away("What is shown may be old: the dashboard does not answer. This page goes on by itself.");
  };
  // A dashboard that has frozen ends no connection; it only says nothing any more.
  const watching = setInterval(() => {
    tick();
    const gaveUp = changes.readyState === EventSource.CLOSED, waited = (Date.now() - Math.max(heard, began)) / 1000;
    if (waited > (gaveUp ? RETRY_SECONDS : SILENT_SECONDS)) { gone(); again(); }
  }, 1000);
  changes.onopen = () => { alive(); away(""); };
  changes.onerror = gone;  // where the answer was no stream, such as a proxy's error page, a browser gives up
  changes.addEventListener("alive", alive);
  changes.addEventListener("changed", () => { alive(); byId("live").textContent = "live"; draw(); });
  changes.addEventListener("trouble", ({ data }) => {
    const { why, seen } = JSON.parse(data);
    alive();
    byId("live").textContent = why ? "not live" : "live";
    away(why && `What is shown may be old: the API server does not answer the dashboard (${why}).`, seen ? Date.parse(seen) : 0);
  });
}

const signIn = listenToActs(draw);
listenToList(draw);
addEventListener("hashchange", () => { byId("one").replaceChildren(); draw().then(() => byId("content").focus()); });
setInterval(() => { if (place() && !document.hidden) draw(); }, CHART_SECONDS * 1000);
setInterval(() => { if (!place() && !document.hidden) draw(); }, LIST_SECONDS * 1000);
drawSession();
draw();
listen();
