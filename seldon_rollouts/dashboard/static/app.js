// Where one is, and drawing again when the API says that something has changed.
import { drawSession, listenToActs } from "./acts.js";
import { byId } from "./dom.js";
import { drawList, listenToList } from "./list.js";
import { drawOne } from "./one.js";

const CHART_SECONDS = 3;
const LIST_SECONDS = 20;  // ages, and what has become stuck
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

// Say that what is shown may be old: since when, and why; nothing where it is as it should be.
function away(why) {
  const shown = byId("away");
  if (why && shown.hidden) shown.dataset.since = new Date().toLocaleTimeString();
  shown.hidden = !why;
  shown.textContent = why && `What is shown may be old, since ${shown.dataset.since}: ${why}`;
}

function listen() {
  const changes = new EventSource("api/v1/changes");
  changes.onopen = () => away("");
  changes.addEventListener("changed", () => { byId("live").textContent = "live"; draw(); });
  changes.addEventListener("trouble", ({ data }) => {
    const said = JSON.parse(data);
    byId("live").textContent = said ? "not live" : "live";
    away(said && `the API server does not answer the dashboard (${said}).`);
  });
  changes.onerror = () => {
    byId("live").textContent = "reconnecting";
    away("the dashboard does not answer. This page goes on by itself.");
    // A browser gives up where the answer was no stream, such as a proxy's error page.
    if (changes.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

const signIn = listenToActs(draw);
listenToList(draw);
addEventListener("hashchange", () => { byId("one").replaceChildren(); draw().then(() => byId("content").focus()); });
setInterval(() => { if (place() && !document.hidden) draw(); }, CHART_SECONDS * 1000);
setInterval(() => { if (!place() && !document.hidden) draw(); }, LIST_SECONDS * 1000);
drawSession();
draw();
listen();
