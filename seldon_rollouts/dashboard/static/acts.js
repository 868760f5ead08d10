// Acts: what is legal now and what this person may do, with a reason and with what will happen said before.
import { ask, byId, make } from "./dom.js";

let signIn = () => {};
let changed = () => {};
let chosen = null;

export function actButtons(row, acts) {
  const legal = acts.items.filter((each) => each.legal);
  if (!acts.allowed) {
    const why = acts.person ? `${acts.person} may look at this rollout, not change it.` : "Sign in to act on this rollout.";
    return make("section", { class: "acts" }, make("h2", {}, "What may be done"), make("p", { class: "soft message" }, why));
  }
  const asked = row.blockedOn !== "person" ? "" : row.phase === "Paused" ? "promote" : "approve";
  const buttons = legal.map((each) => {
    const button = make("button", { type: "button", class: each.verb === asked ? "main" : each.danger ? "danger" : "act", "data-verb": each.verb, title: each.effect }, each.title);
    button.addEventListener("click", () => open(row, each));
    return button;
  });
  return make("section", { class: "acts" }, make("h2", {}, "What may be done"),
    make("p", { class: "buttons" }, buttons.length ? buttons : "Nothing now; change the spec to begin."));
}

function open(row, act) {
  chosen = { row, act };
  byId("act-title").textContent = `${act.title}: ${row.namespace}/${row.name}`;
  byId("act-effect").textContent = act.effect;
  byId("act-do").textContent = act.title;
  byId("act-do").className = act.danger ? "danger" : "main";
  byId("act-problem").textContent = "";
  byId("act-reason").value = byId("act-value").value = "";
  byId("act-needs").hidden = !act.needs;
  byId("act-needs-what").textContent = { revision: "Revision", gate: "Gate (empty: the one it waits at)" }[act.needs] || "";
  byId("act").showModal();
}

async function carryOut(event) {
  event.preventDefault();
  const { row, act } = chosen;
  const wish = { verb: act.verb, reason: byId("act-reason").value };
  if (act.needs === "revision") wish.revision = Number.parseInt(byId("act-value").value, 10) || 0;
  if (act.needs === "gate") wish.gate = byId("act-value").value;
  byId("act-do").disabled = true;
  try {
    const answer = await ask(`rollouts/${row.namespace}/${row.name}/acts`, { method: "POST", body: wish });
    byId("act").close();
    byId("live").textContent = `${act.title}: ${answer.phase}: ${answer.message}`;
    changed();
  } catch (error) {
    byId("act-problem").textContent = error.message;
    if (error.status === 401) { byId("act").close(); signIn(); }
  } finally {
    byId("act-do").disabled = false;
  }
}

export async function drawSession() {
  const session = await ask("session").catch(() => ({ person: "" }));
  byId("who").textContent = session.person;
  byId("sign").hidden = false;
  byId("sign").textContent = session.person ? "Sign out" : "Sign in";
  byId("sign").dataset.signedIn = session.person ? "yes" : "";
}

async function enter(event) {
  event.preventDefault();
  try {
    await ask("session", { method: "POST", body: { token: byId("token").value } });
    byId("login").close();
    await drawSession();
    changed();
  } catch (error) {
    byId("login-problem").textContent = error.message;
  } finally {
    byId("token").value = "";
  }
}

async function sign() {
  if (!byId("sign").dataset.signedIn) return signIn();
  await ask("session", { method: "DELETE" });
  await drawSession();
  changed();
}

export function listenToActs(draw) {
  changed = draw;
  signIn = () => { byId("login-problem").textContent = ""; if (!byId("login").open) byId("login").showModal(); };
  byId("act").querySelector("form").addEventListener("submit", carryOut);
  byId("act-cancel").addEventListener("click", () => byId("act").close());
  byId("login").querySelector("form").addEventListener("submit", enter);
  byId("login-cancel").addEventListener("click", () => byId("login").close());
  byId("sign").addEventListener("click", sign);
  return signIn;
}
