// The event stream: goes on after the last outcome that was seen, whatever ends it.

const AGAIN_MS = 1000;

// `on` has a function for each event's name, and `open` and `lost`.
export function listen(on) {
  let last = "";
  let source = null;
  let timer = 0;

  const address = () => `v1/events${last ? `?last_event_id=${encodeURIComponent(last)}` : ""}`;

  function open() {
    source = new EventSource(address());
    source.onopen = () => on.open();
    source.onerror = () => later(source.readyState === EventSource.CLOSED);
    for (const name of ["snapshot", "status", "outcome", "batch", "audit", "away"]) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId) last = event.lastEventId;
        on[name](JSON.parse(event.data));
      });
    }
    source.addEventListener("end", () => later());
  }

  // A refused stream is closed for good by the browser, so it is opened anew by hand: afresh if the door can't read its place.
  async function later(refused = false) {
    source.close();
    on.lost();
    clearTimeout(timer);
    if (refused && last && (await status()) === 422) last = "";
    timer = setTimeout(open, AGAIN_MS);
  }

  // The browser does not say why a stream was refused.
  async function status() {
    const stop = new AbortController();
    try {
      return (await fetch(address(), { signal: stop.signal, cache: "no-store" })).status;
    } catch {
      return 0;
    } finally {
      stop.abort();
    }
  }

  open();
}
