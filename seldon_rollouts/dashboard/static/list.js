// The list: every rollout in one line, those that need attention first.
import { weightBar } from "./charts.js";
import { age, ask, byId, make, plain, since, words } from "./dom.js";

const ROWS = 100;
let offset = 0;

export async function drawList() {
  byId("one").hidden = true;
  byId("list").hidden = false;
  document.title = "Seldon Rollouts";
  const query = new URLSearchParams({ namespace: byId("namespace").value, search: byId("search").value, offset, limit: ROWS });
  if (byId("urgency").value) query.set("urgency", byId("urgency").value);
  const page = await ask(`rollouts?${query}`);
  if (offset && !page.items.length) return turn(-offset);
  const rows = page.items.map(row);
  if (!same(byId("rows").children, rows)) byId("rows").replaceChildren(...rows);
  byId("empty").hidden = page.items.length > 0;
  byId("empty").textContent = query.get("namespace") || query.get("search") || query.has("urgency")
    ? "No rollout matches." : "There is no rollout yet, or none that you may see. One is made by: kubectl apply -f FILE";
  byId("count").textContent = `${many(page.total)} found, ${many(page.attention)} of all need attention`;
  byId("pages").hidden = page.total <= ROWS;
  byId("page").textContent = `${many(offset + 1)} to ${many(offset + page.items.length)} of ${many(page.total)}`;
  byId("back").disabled = !offset;
  byId("next").disabled = offset + page.items.length >= page.total;
  namespaces(page.namespaces);
}

const many = (number) => number.toLocaleString();
const same = (shown, fresh) => shown.length === fresh.length && fresh.every((each, index) => each.isEqualNode(shown[index]));

function turn(by) {
  offset = Math.max(0, offset + by);
  return drawList();
}

function namespaces(names) {
  const select = byId("namespace"), chosen = select.value;
  const known = [...select.options].slice(1).map((option) => option.value);
  if (known.join() === names.join()) return;
  select.replaceChildren(make("option", { value: "" }, "all"), ...names.map((each) => make("option", { value: each }, each)));
  select.value = names.includes(chosen) ? chosen : "";
}

function row(each) {
  return make("tr", { role: "row" },
    make("td", { role: "cell" }, make("a", { href: `#/${each.namespace}/${each.name}` }, `${each.namespace}/${each.name}`)),
    make("td", { role: "cell" }, phase(each)),
    make("td", { role: "cell" }, each.step),
    make("td", { role: "cell" }, weightBar(each.stableWeight, each.canaryWeight, each.mirror), traffic(each)),
    make("td", { role: "cell", class: each.verdict }, each.verdict),
    make("td", { role: "cell" }, age(each.createdAt)),
    make("td", { role: "cell" }, make("span", { class: "says", title: each.message }, words(each.message)), ...waits(each), ...(each.lastRollback && each.urgency !== "attention" ? [make("span", { class: "soft last" }, words(`last rollback: ${each.lastRollback}`))] : [])));
}

// How long it has waited, where that is long enough to be worth a look.
const LONG_SECONDS = 60;

function waits({ waitsSince }) {
  if (!waitsSince || Date.now() - Date.parse(waitsSince) < LONG_SECONDS * 1000) return [];
  return [make("span", { class: "waits last" }, "waiting for ", since(waitsSince))];
}

export function phase(each) {
  return make("span", { class: `phase ${each.urgency}` }, each.phase);
}

function traffic(each) {
  const mirror = each.mirror ? `, ${plain(each.mirror)} % mirrored` : "";
  return make("span", { class: "soft" }, each.canaryWeight || each.mirror ? `${plain(each.canaryWeight)} % canary${mirror}` : "");
}

export function listenToList(draw) {
  const again = () => { offset = 0; draw(); };
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("search").addEventListener("input", again);
  for (const id of ["namespace", "urgency"]) byId(id).addEventListener("change", again);
  const leaf = (by) => turn(by).then(() => scrollTo(0, 0));
  byId("back").addEventListener("click", () => leaf(-ROWS));
  byId("next").addEventListener("click", () => leaf(ROWS));
}
