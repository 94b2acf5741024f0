// Requests to the door, by relative URLs, so that the page works below any path.

export class Refused extends Error {
  constructor(status, problem) {
    super([problem.detail || problem.title || `HTTP ${status}`, ...(problem.errors || [])].join("\n"));
    this.status = status;
    this.kind = String(problem.type || "").split(":").pop();
  }
}

const silent = () => { throw new Refused(0, { detail: "The door does not answer. What was asked may or may not be done: look before you ask again." }); };

async function call(method, path, body) {
  const sent = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, { method, credentials: "same-origin", cache: "no-store", ...sent }).catch(silent);
  const said = await answer.json().catch(() => (answer.ok ? silent() : {}));
  if (!answer.ok) throw new Refused(answer.status, said);
  return said;
}

const part = encodeURIComponent;

export const session = () => call("GET", "v1/session");
export const signIn = (token) => call("POST", "v1/session", { token });
export const signOut = () => call("DELETE", "v1/session");
export const accounts = () => call("GET", "v1/accounts");
export const batches = () => call("GET", "v1/batches?limit=10");
export const batch = (id) => call("GET", `v1/batches/${part(id)}`);
export const massCancel = (id) => call("GET", `v1/mass-cancels/${part(id)}`);
export const find = (text) => call("GET", `v1/find?q=${part(text)}`);
export const retry = (id, reason) => call("POST", `v1/batches/${part(id)}/retry`, { reason });
export const withdraw = (id, reason) => call("POST", `v1/batches/${part(id)}/withdraw`, { reason });
export const release = (id, reason) => call("POST", `v1/mass-cancels/${part(id)}/release`, { reason });
export const matching = (verb, asked) => call("POST", `v1/${verb}`, asked);
export const dryRun = (scope) => call("POST", "v1/dry-run", scope);
export const cancelAll = (id, asked) => call("PUT", `v1/mass-cancels/${part(id)}`, asked);

// An account, or a lane: user/meter.
const place = (target) => (target.includes("/") ? `lanes/${target.split("/").map(part).join("/")}` : `accounts/${part(target)}`);
export const pause = (target, reason) => call("PUT", `v1/${place(target)}/pause`, { reason });
export const resume = (target, reason) => call("DELETE", `v1/${place(target)}/pause?reason=${part(reason)}`);
