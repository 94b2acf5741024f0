// Questions before anything is done: what, how much, what is not touched, and why.

import * as api from "./api.js";
import { make, number, one, plural } from "./dom.js";
import { leftLines } from "./tables.js";

const HOLD_MS = 1200;

let timer = 0;

export function say(text) {
  const said = one("#said");
  said.textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => { said.textContent = ""; }, 8000);
}

for (const no of document.querySelectorAll("dialog .no")) no.onclick = () => no.closest("dialog").close();

const list = (place, lines) => place.replaceChildren(...lines.filter(Boolean).map((line) => make("li", {}, line)));

// Does it, says what came of it and closes the dialog; with a fault it stays open.
async function attempt(dialog, act) {
  try {
    say(await act());
    dialog.close();
  } catch (error) {
    one(".fault", dialog).textContent = error.message;
  }
}

// Asks with a scope, line by line, and does `act(reason)`; stays open with the fault if that is refused.
export function ask({ title, lines, yes, act }) {
  const dialog = one("#ask");
  const reason = one("#ask-reason");
  one("#ask-title").textContent = title;
  one(".yes", dialog).textContent = yes;
  list(one("#ask-scope"), lines);
  reason.value = one(".fault", dialog).textContent = "";
  one("form", dialog).onsubmit = async (event) => {
    event.preventDefault();
    one(".yes", dialog).disabled = true;
    await attempt(dialog, () => act(reason.value.trim()));
    one(".yes", dialog).disabled = false;
  };
  dialog.showModal();
  reason.focus();
}

export function signIn() {
  const dialog = one("#sign-in");
  if (dialog.open) return;
  one("form", dialog).onsubmit = (event) => {
    event.preventDefault();
    attempt(dialog, async () => {
      await api.signIn(one("#token").value.trim());
      one("#token").value = "";
      location.reload();
      return "Signed in.";
    });
  };
  dialog.oncancel = (event) => event.preventDefault();
  dialog.showModal();
}

const few = (name) => one(`#some-${name}`);
const kill = (name) => one(`#kill-${name}`);

// Whom a question may be about, as far as it is known now; `all`: what "*" would mean, or "" if it is not to be had.
export function offer(known, names, all) {
  const each = names.map((name) => [name, name]);
  choose(few("account"), [["", "all"], ...each]);
  choose(kill("account"), [["", known ? "choose…" : "accounts are being read…"], ...each, ...(all ? [["*", all]] : [])]);
}

// What was chosen stays chosen; if it means something else now, or is not there, what was looked at is forgotten.
function choose(select, choices) {
  const [chosen, meant] = [select.value, select.selectedOptions[0]?.text];
  if (select.dataset.says === JSON.stringify(choices)) return;
  select.dataset.says = JSON.stringify(choices);
  select.replaceChildren(...choices.map(([value, text]) => make("option", { value, selected: value === chosen }, text)));
  if (chosen && select.selectedOptions[0].text !== meant) select.dispatchEvent(new Event("input"));
}

const NOT_TOUCHED = {
  retry: "Orders that are off the book, or were withdrawn, are not touched, nor what does not fit.",
  withdraw: "What was sent already goes on. What was not stays on the book. What does not fit is not touched.",
};

function filter() {
  const asked = few("verb").value === "retry" ? { statuses: ["rejected", "exhausted"] } : {};
  const given = { account: few("account").value, instId: few("inst").value.trim().toUpperCase(), sCode: few("code").value.trim() };
  for (const [name, value] of Object.entries(given)) if (value) asked[name] = [value];
  if (few("since").value) asked.since = new Date(Date.now() - 60000 * few("since").value).toISOString();
  return asked;
}

// All orders that fit a filter, over all batches: counted whenever the filter changes, and done as they were counted.
export function decideSome() {
  const dialog = one("#some");
  const [form, fault, yes] = ["form", ".fault", ".yes"].map((each) => one(each, dialog));
  const fields = ["verb", "account", "inst", "code", "since"].map(few);
  const values = () => JSON.stringify(fields.map((field) => field.value));
  let counted = null;

  async function look() {
    const [verb, asked, at] = [few("verb").value, filter(), values()];
    counted = null;
    yes.disabled = true;
    fault.textContent = "";
    if (!Object.keys(asked).length) { list(few("scope"), ["Say whose: an account, an instrument, an sCode or a time."]); return; }
    list(few("scope"), ["counting…"]);
    try {
      const found = await api.matching(verb, { ...asked, dry_run: true });
      if (at !== values()) return;
      const named = found.batches.slice(0, 6).map((each) => `${each.batch_id}: ${plural(each.orders, "order")} of ${each.account}`);
      const fit = `${plural(found.orders, "order")} in all; batches: ${number(found.batches.length)}${found.batches.length > 6 ? ", of these six are named" : ""}`;
      list(few("scope"), [fit, ...named, NOT_TOUCHED[verb]]);
      yes.textContent = `${verb === "retry" ? "Retry" : "Withdraw"} ${plural(found.orders, "order")}`;
      yes.disabled = !found.orders;
      counted = { verb, asked, at };
    } catch (error) {
      if (at !== values()) return;
      list(few("scope"), []);
      fault.textContent = error.message;
    }
  }

  form.reset();
  yes.textContent = "Retry";
  for (const field of fields) { field.oninput = () => { yes.disabled = true; }; field.onchange = look; }
  form.onsubmit = async (event) => {
    event.preventDefault();
    if (!counted || counted.at !== values()) { look(); return; }
    yes.disabled = true;
    await attempt(dialog, async () => {
      const done = await api.matching(counted.verb, { ...counted.asked, reason: few("reason").value.trim() });
      return counted.verb === "retry" ? `${plural(done.opened + done.joined, "order")} go again.` : `${plural(done.withdrawn, "order")} withdrawn.`;
    });
    yes.disabled = false;
  };
  dialog.showModal();
  look();
}

const boxes = () => [...one("#kill").querySelectorAll("[name=with]")];

function scope() {
  const asked = { account: kill("account").value };
  const filters = { instType: kill("type").value, instId: kill("inst").value.trim().toUpperCase(), side: kill("side").value };
  for (const [name, value] of Object.entries(filters)) if (value) asked[name] = value;
  const ended = boxes().filter((box) => box.checked).map((box) => box.value);
  if (ended.length) asked.with = ended;
  if (ended.includes("bots")) asked.bots = "keep-positions";
  return asked;
}

// A mass cancel: looked at first, then asked for by a button that is held.
export function cancelAll() {
  const dialog = one("#kill");
  const fault = one(".fault", dialog);
  const hold = kill("hold");
  kill("account").value = kill("reason").value = fault.textContent = "";
  list(kill("scope"), []);
  hold.disabled = true;
  const id = `page-${new Date().toISOString().replace(/[-:]|\..*/g, "")}-${crypto.getRandomValues(new Uint32Array(1))[0].toString(16)}`;

  const forget = () => { hold.disabled = true; list(kill("scope"), []); fault.textContent = ""; };
  for (const box of boxes()) box.checked = false;
  for (const field of [...["account", "type", "inst", "side"].map(kill), ...boxes()]) field.oninput = forget;
  one("form", dialog).onsubmit = (event) => event.preventDefault();
  kill("look").onclick = () => look(fault, hold);
  held(hold, async () => {
    const reason = kill("reason").value.trim();
    if (!reason) { fault.textContent = "Say why: it stands in the audit."; kill("reason").focus(); return; }
    const flat = kill("flat").value;
    await attempt(dialog, async () => {
      const taken = await api.cancelAll(id, { ...scope(), reason, until_flat_s: flat ? Number(flat) : null });
      return `Taken: ${plural(taken.mass_cancels.length, "mass cancel")}.`;
    });
  });
  dialog.showModal();
}

async function look(fault, hold) {
  fault.textContent = "";
  if (!kill("account").value) { fault.textContent = "Choose an account."; return; }
  const asked = scope();
  list(kill("scope"), ["looking…"]);
  try {
    const found = await api.dryRun(asked);
    if (JSON.stringify(asked) !== JSON.stringify(scope())) return;
    const away = Object.keys(found.away || {}).map((name) => `Shard ${name} could not be looked at: how many orders this means there is not known.`);
    list(kill("scope"), [...away, ...found.accounts.flatMap(told)]);
    hold.disabled = false;
  } catch (error) {
    list(kill("scope"), []);
    fault.textContent = error.message;
    if (error.kind !== "not-readable" && error.kind !== "exchange-away") return;
    list(kill("scope"), ["How many orders this means is not known: the book cannot be read from here.", "It can be cancelled unseen."]);
    hold.disabled = false;
  }
}

function told(account) {
  const counts = new Map();
  for (const order of account.orders) counts.set(order.instId, (counts.get(order.instId) || 0) + 1);
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 5).map(([name, count]) => `${name} ${number(count)}`);
  return [
    `${account.account}: ${plural(account.count, "order")} would be cancelled${most.length ? ` (${most.join(", ")}${counts.size > 5 ? ", …" : ""})` : ""}`,
    ...Object.entries(account.not_affected).map(([why, count]) => `Not touched: ${plural(count, "order")}, ${why}`),
    account.not_listed ? `Not listed and not touched: ${account.not_listed}` : "",
    ...(account.would_stop || []).map((each) => `Ended as well: ${plural(each.count || 0, each.kind || "product")}`),
    ...leftLines(account.still_able || [], account.not_known || {}),
  ];
}

// By mouse, finger or key; let go too early, nothing happens.
function held(button, act) {
  let waiting = 0;
  const begin = (event) => {
    if (button.disabled || waiting || (event.type === "keydown" && event.key !== " " && event.key !== "Enter")) return;
    event.preventDefault();
    button.classList.add("held");
    waiting = setTimeout(() => { end(); act(); }, HOLD_MS);
  };
  const end = () => {
    clearTimeout(waiting);
    waiting = 0;
    button.classList.remove("held");
  };
  button.onpointerdown = button.onkeydown = begin;
  button.onpointerup = button.onpointerleave = button.onkeyup = button.onblur = end;
}
