// Keys to move with, and each time in the reader's own zone. Without it, pages read the same.
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

const zone = Intl.DateTimeFormat(undefined, {
  month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short",
});

function tellOwnTime() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    const text = at.getTimezoneOffset() === 0 ? null : `Your time: ${zone.format(at)}`;
    if (text && time.title !== text) time.title = text;
  }
}

tellOwnTime();
const page = document.getElementById("page");
if (page) new MutationObserver(tellOwnTime).observe(page, { childList: true, subtree: true, attributeFilter: ["title", "datetime"] });
