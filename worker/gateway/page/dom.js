// Small helpers for what is on the page. Text is only ever set as text.

export const one = (selector, root = document) => root.querySelector(selector);

export function make(name, fields = {}, ...children) {
  const made = document.createElement(name);
  for (const [field, value] of Object.entries(fields)) {
    if (field in made) made[field] = value;
    else made.setAttribute(field, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

// Rows by their keys: a row that stays is the same element, so that the focus stays on its buttons.
export function rows(body, items, keyOf, cellsOf) {
  const known = new Map([...body.children].map((row) => [row.dataset.key, row]));
  let place = null;
  for (const item of items) {
    const key = String(keyOf(item));
    const row = known.get(key) || make("tr");
    known.delete(key);
    row.dataset.key = key;
    fill(row, cellsOf(item));
    const next = place ? place.nextSibling : body.firstChild;
    if (next !== row) body.insertBefore(row, next);
    place = row;
  }
  for (const row of known.values()) row.remove();
}

// A cell is made anew only when what it says has changed: [says, make].
function fill(row, cells) {
  while (row.children.length < cells.length) row.append(make("td"));
  cells.forEach(([says, content], index) => {
    const cell = row.children[index];
    const text = JSON.stringify(says);
    if (cell.dataset.says === text) return;
    cell.dataset.says = text;
    cell.replaceChildren(...[content()].flat().filter((each) => each !== null && each !== ""));
  });
}

export const cell = (text) => [text, () => String(text)];

export function bar(value, max, label, full = false) {
  return make("progress", { value, max: max || 1, className: full ? "full" : "", "aria-label": label });
}

export const number = (value) => Number(value).toLocaleString("en-US");
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;
export const seconds = (value) => (value === null || value === undefined ? "" : value >= 90 ? `${Math.round(value / 60)} min` : `${Math.round(value)} s`);

const stamp = new Intl.DateTimeFormat("en-GB", { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short" });

// With its zone, since a desk elsewhere reads the same page, and its day if not today. Joined here: a time with a zone is 0:05:09 in most locales.
export function moment(when) {
  if (!when) return "";
  const at = Object.fromEntries(stamp.formatToParts(new Date(when)).map(({ type, value }) => [type, value]));
  const today = new Date(when).toDateString() === new Date().toDateString();
  return `${today ? "" : `${at.year}-${at.month}-${at.day} `}${at.hour}:${at.minute}:${at.second} ${at.timeZoneName}`;
}
