// What each table shows of each thing: cells as [what it says, how it is made].

import { bar, cell, make, moment, number, plural, seconds } from "./dom.js";

const ends = ["canceled", "filled", "gone", "accepted", "rejected", "exhausted", "withdrawn"];

function counts(batch) {
  const told = batch.counts;
  const shown = ends.filter((name) => told[name]).map((name) => make("span", { className: name }, `${number(told[name])} ${name}`, name === "gone" ? neverKnown(batch) : ""));
  const each = shown.flatMap((one, index) => (index ? [", ", one] : [one]));
  return batch.partly_filled ? [...each, "; ", make("b", { className: "warn" }, `${number(batch.partly_filled)} partly filled`)] : each;
}

// The exchange never knew them: their ids may be wrong, and the orders that were meant live.
const neverKnown = ({ never_known: count }) => (count ? make("b", { className: "bad" }, ` (${number(count)} never known)`) : "");

// What was not cancelled and can place orders, and what nobody could look at, which is not none.
export function leftLines(able, unknown) {
  const kinds = able.map((each) => plural(each.count || 0, (each.kind || "order").replaceAll("_", " ")));
  const lists = Object.keys(unknown).map((name) => (name === "all" ? "what else there is" : name.replaceAll("_", " ")));
  return [
    kinds.length ? `Not cancelled, and can place orders: ${kinds.join(", ")}` : "",
    lists.length ? `Not known, and may place orders: ${lists.join(", ")}` : "",
  ].filter(Boolean);
}

// A mass cancel that lists is told by the stream, one that has ended by its report.
function massText(batch) {
  if (!batch.mass) return batch.complete ? "complete" : batch.sealed ? "" : "not handed in completely";
  const { listing, report } = batch;
  const state = (report || listing)?.state;
  const whole = !report || state === "running" ? "" : report.complete ? "complete" : "NOT complete";
  return ["mass cancel", listing?.hold && state === "running" ? "on hold" : state, whole].filter(Boolean).join(", ");
}

function massLeft({ listing, report }) {
  if (report) return report.state === "running" ? [] : leftLines(report.still_able, report.not_known);
  return listing?.survey ? leftLines(listing.survey.able, listing.survey.unknown) : [];
}

export const button = (text, act, label) => make("button", { type: "button", onclick: act, "aria-label": label || text }, text);

// Of which Redis a row is, where there are several.
function shardText(row) {
  if (!row.shard) return "";
  return make("small", { className: row.asItWas ? "bad" : "" }, row.asItWas ? `shard ${row.shard} is away: as it was` : `shard ${row.shard}`);
}

export function batchCells(batch, does) {
  const ended = batch.size - batch.waiting;
  const kind = massText(batch);
  const left = massLeft(batch);
  const eta = batch.complete ? `${batch.mass ? "over" : "complete"} ${moment(batch.completed_at)}` : `${plural(batch.waiting, "order")} left${batch.eta_s ? `, the limits allow ${seconds(batch.eta_s)}` : ""}`;
  const flat = batch.listing?.flat_wall_us ? `, empty since ${moment(batch.listing.flat_wall_us / 1000)}` : "";
  const trouble = batch.listing?.trouble || "";
  const why = [batch.requested_by && `by ${batch.requested_by}`, batch.reason].filter(Boolean).join(": ");
  const actions = does(batch);
  return [
    [[batch.batch_id, batch.account, kind, batch.urgent, batch.asItWas, flat, trouble, left], () => [
      make("b", {}, batch.batch_id),
      make("small", {}, [batch.account, batch.urgent ? "urgent" : "", kind].filter(Boolean).join(", ") + flat),
      shardText(batch),
      trouble && make("small", { className: "bad" }, trouble),
      ...left.map((line) => make("small", { className: "bad" }, line)),
    ]],
    [[ended, batch.size, batch.counts, batch.dead, batch.partly_filled, batch.never_known, eta], () => [
      bar(ended, batch.size, `${batch.batch_id}: ${ended} of ${batch.size} ended`),
      make("span", {}, `${number(ended)} of ${number(batch.size)} ended`, batch.dead ? make("b", { className: "bad" }, `, ${number(batch.dead)} may be live`) : ""),
      make("small", {}, ...counts(batch), Object.keys(batch.counts).length ? "; " : "", eta),
    ]],
    cell(why),
    [actions.map(([text]) => text), () => actions.map(([text, act]) => button(text, act, `${text} ${batch.batch_id}`))],
  ];
}

export function restText(rest) {
  if (!rest) return "";
  if (rest.paused_by) return `paused by ${rest.paused_by}${rest.reason ? `: ${rest.reason}` : ""}`;
  return `${rest.reason}${rest.probing ? ", being tried" : rest.until ? `, until ${moment(rest.until)}` : ""}`;
}

export function laneCells(lane, actions) {
  const waiting = lane.queued + lane.sending + lane.retrying;
  const used = (count, limit, what) => [[count, limit], () => [
    bar(count, limit, `${lane.name}: ${count} of ${limit} slots ${what} used`, count >= limit),
    `${number(count)} of ${number(limit)}`,
    make("small", {}, what),
  ]];
  return [
    [[lane.name, waiting, lane.refused, lane.asItWas], () => [make("b", {}, lane.name), shardText(lane), make("small", {}, `${number(waiting)} waiting`, lane.refused ? make("span", { className: "bad" }, `, refused ${number(lane.refused)} times`) : "")]],
    used(lane.batch_used, lane.limits.batch, "in batches"),
    used(lane.single_used, lane.limits.single, "single"),
    [[restText(lane.rest)], () => make("span", { className: lane.rest ? "warn" : "" }, restText(lane.rest))],
    [actions.map(([text]) => text), () => actions.map(([text, act]) => button(text, act, `${text} lane ${lane.name}`))],
  ];
}

export function accountCells(account, rests, actions) {
  const mine = rests.filter((rest) => rest.scope === `account:${account.name}` || rest.scope === `user:${account.uid}`);
  const state = account.asItWas ? "not known" : mine.map(restText).join("; ");
  return [
    [[account.name, account.uid, account.asItWas], () => [make("b", {}, account.name), shardText(account), make("small", {}, account.uid === account.name ? "" : `User ID ${account.uid}`)]],
    [[account.workers], () => make("span", { className: account.workers ? "" : "bad" }, plural(account.workers, "worker"))],
    [[state], () => make("span", { className: account.asItWas ? "bad" : state ? "warn" : "alive" }, state || "sends")],
    [actions.map(([text]) => text), () => actions.map(([text, act]) => button(text, act, `${text} account ${account.name}`))],
  ];
}

export function outcomeCells(row) {
  const order = row.instId ? `${row.instId} ${row.ordId || row.algoId || row.clOrdId}` : "an order";
  const said = [row.sCode && row.sCode !== "0" ? row.sCode : "", row.sMsg || ""].filter(Boolean).join(" ");
  const batches = row.batches || [row.batch_id];
  const part = row.status !== "filled" && Number(row.accFillSz) > 0 ? `${row.accFillSz} filled` : "";
  const wrong = row.status === "gone" && row.known === false ? "never known: its id may be wrong" : "";
  return [
    cell(moment(row.finished_at)),
    [[order, row.account], () => [order, make("small", {}, row.account)]],
    [[row.status, part, wrong, said], () => [
      make("span", { className: row.status }, row.status),
      part && make("b", { className: "warn" }, `, ${part}`),
      wrong && make("b", { className: "bad" }, `, ${wrong}`),
      said && make("small", {}, said),
    ]],
    cell(batches.join(", ")),
  ];
}

export function decisionCells(decision) {
  const about = [decision.batch_id && `batch ${decision.batch_id}`, decision.scope || decision.account].filter(Boolean).join(", ");
  return [
    cell(moment(decision.at)),
    [[decision.event, about], () => [make("b", {}, decision.event.replace("_", " ")), make("small", {}, about)]],
    cell([decision.by && `by ${decision.by}`, decision.reason].filter(Boolean).join(": ")),
  ];
}

// Everything that somebody must act on: [key, text, [button, act] or null].
export function notices(status, does) {
  const told = [];
  for (const name of Object.keys(status.away || {})) told.push([`shard ${name}`, `Shard ${name} is away: its Redis does not answer here. What is of it is not known, and shown as it was.`, null]);
  if (status.silent) told.push(["redis", `${status.silent === true ? "Redis does not answer" : `Not readable here, ${status.silent}`}: what is shown is as it was.`, null]);
  const idle = (status.shards || []).filter((each) => !each.workers_alive).map((each) => each.shard);
  for (const name of idle) told.push([`worker ${name}`, `No worker of shard ${name} is alive: nothing is sent for its accounts.`, null]);
  if (!status.workers_alive && !status.shards) told.push(["worker", "No worker is alive: nothing is sent.", null]);
  if (status.may_be_live) told.push(["live", `${plural(status.may_be_live, "order")} may be live: ${status.may_be_live === 1 ? "its cancel was" : "their cancels were"} given up.`, does.retry]);
  if (status.may_be_live === null) told.push(["live", "Whether orders of these accounts may be live is not counted here: the batches say so.", does.retry]);
  for (const rest of status.rests) {
    if (rest.scope.startsWith("lane:")) continue;
    const names = rest.accounts.length ? rest.accounts.join(", ") : rest.scope;
    told.push([rest.scope, `${names}: ${restText(rest)}`, rest.paused_by || rest.scope.startsWith("account:") ? does.resume(rest) : null]);
  }
  for (const one of status.switches) if (one.ran_out) told.push([`switch ${one.uid}`, `The dead man's switch of ${one.uid} ran out ${moment(one.ran_out)}: the exchange cancelled.`, null]);
  const urgent = status.oldest_urgent;
  if (urgent && urgent.waits_s > 5) told.push(["urgent", `An urgent order waits for ${seconds(urgent.waits_s)} in ${urgent.lane}.`, null]);
  for (const worker of status.workers) {
    if (!worker.alive && worker.late_s > 5) told.push([`late ${worker.name}`, `${worker.name} has been silent for ${seconds(worker.late_s)}.`, null]);
    for (const [kind, reads] of Object.entries(worker.formats)) {
      const marks = (status.shards || []).find((each) => each.shard === worker.shard) || status;
      const mark = marks.formats[kind];
      if (mark < reads.oldest || mark > reads.newest) told.push([`format ${kind} ${worker.name}`, `${worker.name} cannot read format ${mark} of the ${kind}'s state, and does nothing: start a release that can.`, null]);
    }
    for (const [name, why] of Object.entries(worker.problems)) told.push([`${worker.name} ${name}`, `${worker.name}: ${name}: ${why}`, null]);
  }
  return told;
}
