// Keys to move with, the clock beside UTC in each time, and the names of cells on a phone. Without it, that clock is the
// port's where it is known.
"use strict";

const OFF = "keys-off";
const help = document.getElementById("keys");

function rows() {
  return [...document.querySelectorAll("main tbody tr a[href]:first-of-type")].filter(
    (link, index, all) => index === 0 || link.closest("tr") !== all[index - 1].closest("tr"),
  );
}

function move(step) {
  const links = rows();
  const here = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const next = links[here < 0 ? (step > 0 ? 0 : links.length - 1) : here + step];
  next?.focus();
}

function isTyping(target) {
  return target.matches("input, textarea, select") || target.isContentEditable;
}

if (help) {
  const off = help.querySelector("input");
  off.checked = localStorage.getItem(OFF) === "yes";
  off.addEventListener("change", () => localStorage.setItem(OFF, off.checked ? "yes" : "no"));
  document.getElementById("show-keys").hidden = false;
  document.getElementById("show-keys").addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (off.checked || help.open || isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      "/": () => document.getElementById("q").focus(),
      j: () => move(1),
      k: () => move(-1),
      "?": () => help.showModal(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

// The second clock: `port`, `own`, or none (`utc`), as this browser keeps it. UTC is always there

const CLOCK = "clock";
const zone = Intl.DateTimeFormat(undefined, {
  month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short",
});

function tellOwnTime() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const own = zone.format(new Date(time.dateTime));
    if (time.dataset.own !== own) time.dataset.own = own;
    if (time.title !== `Your time: ${own}`) time.title = `Your time: ${own}`;
  }
}

function chooseClock(clock) {
  document.documentElement.dataset.clock = clock;
  clocks.querySelector("select").value = clock;
}

const clocks = document.getElementById("clocks");
if (clocks) {
  clocks.hidden = false;
  chooseClock(localStorage.getItem(CLOCK) ?? "port");
  clocks.addEventListener("change", (event) => localStorage.setItem(CLOCK, event.target.value));
  clocks.addEventListener("change", (event) => chooseClock(event.target.value));
  addEventListener("storage", (event) => event.key === CLOCK && chooseClock(event.newValue ?? "port"));
}

// On a phone a row is a card: each cell then needs the name of its column, and one without a value is left out.
function nameCells() {
  for (const table of document.querySelectorAll("main table")) {
    const names = [...(table.tHead?.rows[table.tHead.rows.length - 1]?.cells ?? [])].map((cell) => cell.textContent.trim());
    for (const row of table.tBodies[0]?.rows ?? []) {
      [...row.cells].forEach((cell, column) => {
        const isEmpty = ["", "–"].includes(cell.textContent.trim()) && cell.querySelector("input, svg") === null;
        const name = isEmpty ? "" : names[column] || null;
        if (cell.colSpan > 1 || name === null || cell.tagName === "TH") cell.removeAttribute("data-label");
        else if (cell.dataset.label !== name) cell.dataset.label = name;
      });
    }
  }
}

function readable() {
  tellOwnTime();
  nameCells();
}

readable();
const page = document.getElementById("page");
const watched = { childList: true, subtree: true, attributeFilter: ["title", "datetime", "data-own", "data-label"] };
if (page) new MutationObserver(readable).observe(page, watched);
