// The page: what the stream tells, drawn at most four times a second, and not at all while nobody looks.

import * as api from "./api.js";
import { ask, cancelAll, decideSome, offer, say, signIn } from "./dialogs.js";
import { make, number, one, plural, rows } from "./dom.js";
import { listen } from "./stream.js";
import { accountCells, batchCells, button, decisionCells, laneCells, notices, outcomeCells } from "./tables.js";

const FRAME_MS = 250;
const OUTCOMES = 30;
const DONE = 10;
const LOOK_MS = 1000;
const LOOKS = 30;
const LANES = 40;

const HELD = ["lanes", "batches", "masses", "rests", "switches"];

const empty = { workers_alive: 1, waiting: 0, may_be_live: 0, rests: [], lanes: [], batches: [], masses: [], switches: [], workers: [] };
const state = { me: null, status: empty, known: false, away: false, outcomes: [], told: 0, audit: [], accounts: null, done: new Map(), fresh: true, found: null };
let drawn = 0;
let planned = 0;

const accounts = () => state.accounts || [];
const may = (role) => state.me !== null && state.me.may.includes(role);

function changed() {
  if (planned || document.hidden) return;
  planned = setTimeout(() => {
    planned = 0;
    drawn = performance.now();
    requestAnimationFrame(draw);
  }, Math.max(0, FRAME_MS - (performance.now() - drawn)));
}

document.addEventListener("visibilitychange", changed);

// --- what comes

// Of a runner with several Redis: rows of a shard that is away stay as they were, since nothing is known of it.
const awayOf = (said) => Object.keys(said.away || {});
const awayText = (said) => awayOf(said).map((name) => `shard ${name}`).join(", ");
const asItWas = (rows, said) => rows.filter((row) => row.shard in (said.away || {})).map((row) => ({ ...row, asItWas: true }));

function tellStatus(told) {
  const held = Object.fromEntries(HELD.map((name) => [name, [...told[name], ...asItWas(state.status[name], told)]]));
  const status = { ...told, ...held };
  for (const id of running().map((batch) => batch.batch_id)) {
    const still = status.batches.some((each) => each.batch_id === id) || status.masses.some((each) => each.batch_id === id);
    // how one ended that went while nothing was heard; of all others the stream tells it, whatever the number of pages
    if (!still && state.fresh) load(() => api.batch(id), keep);
  }
  if (state.fresh) load(api.batches, (said) => said.batches.filter((batch) => batch.complete).reverse().forEach(keep));
  state.fresh = false;
  const paused = (said) => JSON.stringify([said.rests.map((rest) => rest.scope), said.workers_alive, awayOf(said)]);
  const news = !state.known || paused(status) !== paused(state.status);
  state.status = status;
  state.known = true;
  state.away = false;
  if (news) load(api.accounts, (said) => { state.accounts = [...said.accounts, ...asItWas(accounts(), said)]; });
  changed();
}

function keep(batch) {
  state.done.delete(batch.batch_id);
  state.done.set(batch.batch_id, batch);
  while (state.done.size > DONE) state.done.delete(state.done.keys().next().value);
  if (batch.mass) reported(batch.batch_id);
}

// What a mass cancel has left is looked at when the last of its orders has ended, so it may be told a little later.
function reported(id, tries = 0) {
  load(() => api.massCancel(id), (report) => {
    const batch = state.done.get(id);
    if (!batch) return;
    state.done.set(id, { ...batch, report });
    if (report.not_known.all && tries < LOOKS) setTimeout(() => reported(id, tries + 1), LOOK_MS);
  });
}

// A door that does not answer, or is in trouble, is asked until it tells.
async function load(request, take) {
  try {
    take(await request());
    changed();
  } catch (error) {
    if (!(error instanceof api.Refused)) throw error;
    if (error.status === 0 || error.status >= 500) setTimeout(load, LOOK_MS, request, take);
    else if (error.status === 401) { link("not signed in", false); signIn(); }
    else if (error.status !== 404) say(error.message);
  }
}

function running() {
  const masses = new Map(state.status.masses.map((mass) => [mass.batch_id, mass]));
  return state.status.batches.map((batch) => ({ ...batch, listing: masses.get(batch.batch_id), eta_s: estimate(batch.account) }));
}

// Seconds in which the limits allow all that waits for the account's User ID to be sent.
function estimate(name) {
  const account = accounts().find((each) => each.name === name);
  if (!account) return null;
  const { single, batch } = { ...account.limits, ...(account.batch_size > 1 ? {} : { batch: 0 }) };
  const lanes = state.status.lanes.filter((lane) => lane.name.startsWith(`${account.uid}/`));
  const windows = lanes.map((lane) => Math.ceil((lane.queued + lane.retrying - Math.max(0, single - lane.single_used) - Math.max(0, batch - lane.batch_used)) / (single + batch)));
  return Math.max(0, ...windows) * account.window_s;
}

const stream = {
  open: () => { state.fresh = true; link("live", true); },
  lost: () => link("not connected, trying again", false),
  snapshot: (said) => { state.fresh = true; tellStatus(said); },
  status: (said) => tellStatus(said),
  batch: (said) => { keep(said); changed(); },
  audit: (said) => { state.audit = said.decisions; changed(); },
  away: (said) => {
    state.fresh = true;
    if (said.shard) state.status = { ...state.status, away: { ...state.status.away, [said.shard]: "" } };
    else state.away = said.why || true;
    changed();
  },
  outcome: (said) => {
    said.key = state.told++;
    state.outcomes.unshift(said);
    state.outcomes.length = Math.min(state.outcomes.length, OUTCOMES);
    changed();
  },
};

function link(text, on) {
  one("#link").textContent = text;
  one("#link").className = on ? "on" : "off";
}

// --- what may be done

const deed = (yes, title, lines, act) => [yes, () => ask({ title, lines, yes, act })];

const doing = {
  retry: (batch) => deed("Retry", `Retry ${batch.batch_id}?`,
    [`${plural(batch.dead, "order")} of account ${batch.account} that ended rejected or exhausted go again.`, "Orders that are off the book, or were withdrawn, are not touched."],
    async (reason) => { const done = await api.retry(batch.batch_id, reason); keep(done.state); return `${plural(done.opened + done.joined, "order")} go again.`; }),
  withdraw: (batch) => deed("Withdraw", `Take ${batch.batch_id} back?`,
    [`${plural(batch.waiting, "order")} of account ${batch.account} wait; those that were not sent stay on the book.`, batch.mass ? "The mass cancel ends: nothing more is listed." : "", "What was sent already goes on."],
    async (reason) => { const done = await api.withdraw(batch.batch_id, reason); keep(done.state); return `${plural(done.withdrawn, "order")} withdrawn.`; }),
  release: (batch) => deed("Release", `End the hold of ${batch.batch_id}?`,
    [`What comes for account ${batch.account} from now on is left alone.`, "What was found is cancelled all the same."],
    async (reason) => { await api.release(batch.batch_id, reason); return `${batch.batch_id} is released.`; }),
  pause: (target, whose) => deed("Pause", `Pause ${target}?`,
    [`Nothing more is sent for ${whose}; orders wait, and their deadlines run.`, "What is in flight finishes. Orders at the exchange stay there."],
    async (reason) => { await api.pause(target, reason); return `${target} is paused.`; }),
  resume: (target) => deed("Resume", `Resume ${target}?`, ["What waits is sent at once."],
    async (reason) => { await api.resume(target, reason); return `${target} is resumed.`; }),
};

function batchActions(batch) {
  if (!may("operate")) return [];
  const can = [[doing.retry, batch.dead && (batch.complete || batch.waiting === 0)], [doing.release, batch.listing?.hold], [doing.withdraw, batch.listing || !batch.complete]];
  return can.filter(([, may]) => may).map(([does]) => does(batch));
}

const placeActions = (target, whose, paused) => (may("operate") ? [paused ? doing.resume(target) : doing.pause(target, whose)] : []);

// Whom a question may be about; "*" only for who may decide on every account.
function offered(away) {
  const names = [...new Set(accounts().map((account) => account.name))];
  const all = away ? `all accounts, those of ${away} as well, which are not known now` : `all ${names.length} accounts`;
  return [state.accounts !== null, names, state.me?.accounts === null && (away || names.length > 1) ? all : ""];
}

// --- what is drawn

function draw() {
  const status = { ...state.status, silent: state.away };
  const away = awayText(status);
  one("#figures").textContent = state.known ? `${plural(status.workers_alive, "worker")}, ${plural(status.waiting, "order")} waiting${away && `, without ${away}`}` : "";
  for (const none of document.querySelectorAll(".none")) {
    none.dataset.text ||= none.textContent;
    none.textContent = away ? `Not known: ${away} is away.` : none.dataset.text;
    none.classList.toggle("bad", Boolean(away));
  }
  loud(state.known ? notices(status, { retry: may("operate") ? ["Retry…", decideSome] : null, resume: (rest) => (may("operate") ? doing.resume(rest.accounts[0] || rest.scope.split(":").pop()) : null) }) : []);
  const now = running();
  const ids = new Set(now.map((batch) => batch.batch_id));
  const done = [...state.done.values()].reverse().filter((batch) => !ids.has(batch.batch_id));
  rows(one("#batches tbody"), [...now, ...done], (batch) => `${batch.batch_id} ${batch.shard}`, (batch) => batchCells(batch, batchActions));
  one("#work-count").textContent = some(status.batches.length, status.batches_waiting || 0, "the next");
  const own = (lane) => lane.rest?.scope === `lane:${lane.name}`;
  const lanes = [...status.lanes.filter(own), ...status.lanes.filter((lane) => !own(lane))].slice(0, LANES);
  one("#lanes-count").textContent = some(lanes.length, status.lanes.length, "those held back and the busiest");
  rows(one("#lanes tbody"), lanes, (lane) => `${lane.name} ${lane.shard}`, (lane) => laneCells(lane, placeActions(lane.name, `lane ${lane.name}`, own(lane))));
  offer(...offered(away));
  rows(one("#accounts tbody"), accounts(), (account) => `${account.name} ${account.shard}`, (account) => accountCells(account, status.rests, accountActions(account, status.rests)));
  one("#outcomes-count").textContent = state.told ? `: ${number(state.told)}` : "";
  rows(one("#outcomes tbody"), state.outcomes, (row) => row.key, outcomeCells);
  rows(one("#audit tbody"), state.audit, (each) => `${each.at}${each.event}${each.batch_id}${each.scope}`, decisionCells);
  if (state.found) drawFound(state.found);
}

// What is not shown is said.
const some = (shown, all, which) => (all > shown ? `: ${which}, ${number(shown)} of ${number(all)}` : "");

function accountActions(account, rests) {
  const rested = rests.some((rest) => rest.scope === `account:${account.name}` || rest.scope === `user:${account.uid}`);
  return placeActions(account.name, `account ${account.name} and all of its User ID`, rested);
}

function loud(told) {
  const list = one("#loud ul");
  const text = JSON.stringify(told.map(([key, said]) => [key, said]));
  one("#loud").hidden = told.length === 0;
  if (list.dataset.says === text) return;
  list.dataset.says = text;
  list.replaceChildren(...told.map(([, said, action]) => make("li", {}, said, action ? button(...action, `${action[0]}: ${said}`) : null)));
}

function drawFound(found) {
  one("#found").hidden = false;
  const none = !found.batches.length && !found.orders.length;
  const away = awayOf(found).map((name) => `Shard ${name} is away: what it has is not known.`).join(" ");
  one("#found-none").textContent = [none && !away ? `Nothing is called ${found.q}. Batches and orders are kept for a week, unless set otherwise.` : "", away].filter(Boolean).join(" ");
  rows(one("#found-batches tbody"), found.batches, (batch) => batch.batch_id, (batch) => batchCells(batch, batchActions));
  rows(one("#found-orders tbody"), found.orders, (row) => `${row.batch_id} ${row.instId} ${row.ordId} ${row.clOrdId}`, outcomeCells);
}

// --- begin

one("#search").onsubmit = (event) => {
  event.preventDefault();
  const text = one("#query").value.trim();
  if (text) load(() => api.find(text), (said) => {
    state.found = { ...said, q: text };
    for (const batch of said.batches) if (batch.mass) load(() => api.massCancel(batch.batch_id), (report) => { batch.report = report; });
  });
};
one("#found-close").onclick = () => { state.found = null; one("#found").hidden = true; };
one("#cancel-all").onclick = cancelAll;
one("#decide").onclick = decideSome;
one("#sign-out").onclick = async () => { await api.signOut(); location.reload(); };

function begin(me) {
  state.me = me;
  one("#who").textContent = `${me.name} (${me.role})`;
  one("#cancel-all").hidden = !may("kill");
  one("#decide").hidden = !may("operate");
  one("#sign-out").hidden = me.open === true;
  one("#search").hidden = !may("read");
  listen(stream);
}

load(api.session, begin);
