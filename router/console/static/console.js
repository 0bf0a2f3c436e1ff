// Keeps the page as current as the console is, and says when it is not. Without it, the page is the same, but still.
"use strict";

const AMBER_SECONDS = 30;
const RED_SECONDS = 120;
const byId = (id) => document.getElementById(id);

class LivePage {
  constructor() {
    this.connection = "connecting";
    this.isPaused = false;
    this.isFetching = false;
    this.nextFetch = 0;
    this.pause = 0; // milliseconds between two fetches, as the stream says
    this.revision = null;
    this.unread = null;
    this.title = document.title;
    this.take(byId("as-of").dataset);
    this.prepare();
    this.show();
    setInterval(() => this.show(), 1000);
    document.addEventListener("visibilitychange", () => this.refresh());
    document.addEventListener("mouseout", () => setTimeout(() => this.refresh(), 100));
    addEventListener("scroll", () => this.refresh(), { passive: true });
    addEventListener("pageshow", (event) => event.persisted && location.reload());
    document.addEventListener("click", (event) => this.clicked(event));
    this.listen();
  }

  // The stream

  listen() {
    const script = "/static/live_worker.js";
    const port = "SharedWorker" in window ? new SharedWorker(script).port : new Worker(script);
    port.onmessage = (event) => this.heard(event.data);
    addEventListener("pagehide", () => port.postMessage("bye"));
  }

  heard({ state, beat, stops }) {
    const was = this.connection;
    this.connection = state;
    if (beat && state === "live") {
      this.revision = beat.revision;
      this.pause = 1000 * beat.pause;
      this.unread = beat.unread;
      if (String(beat.revision) === this.shownRevision) this.known(beat.as_of, beat.now);
      if (was !== "live" && was !== "connecting") this.nextFetch = 0;
    }
    for (const stop of stops ?? []) ring(stop);
    this.show();
    this.refresh();
  }

  // What is shown, and as of when

  take(data) {
    this.shownRevision = data.revision;
    this.known(data.asOf === undefined ? null : Number(data.asOf), Number(data.now));
  }

  known(asOf, now) {
    this.asOf = asOf;
    this.age = now - (asOf ?? now);
    this.at = performance.now();
  }

  seconds() {
    return Math.max(0, Math.floor((this.age + performance.now() - this.at) / 1000));
  }

  show() {
    const bar = byId("as-of");
    const seconds = this.seconds();
    const clock = this.asOf === null ? null : `${new Date(this.asOf).toISOString().slice(11, 19)}Z`;
    const age = clock === null ? "Not known yet" : `As of ${clock}, ${spoken(seconds)} ago`;
    const fault = {
      cut: "Cut off: the console does not answer. Trying again.",
      out: "You are logged out: nothing new is shown.",
      full: "Too many browsers are open: nothing new is shown.",
    }[this.connection];
    const isLate = clock !== null && seconds > AMBER_SECONDS;
    const behind = isLate && !fault ? "Behind: something later may be missing." : "";
    const color = seconds > RED_SECONDS ? "red" : isLate || fault || clock === null ? "amber" : "fresh";
    bar.className = `as-of ${color}`;
    setText(byId("state"), [fault ?? behind, age].filter(Boolean).join(" "));
    byId("log-in-again").hidden = this.connection !== "out";
    setText(byId("live-state"), fault ?? behind); // read out once, not every second
    const count = this.unread ? `(${this.unread}) ` : "";
    if (document.title !== count + this.title) document.title = count + this.title;
  }

  // Fetching the page anew

  async refresh() {
    if (this.connection !== "live" || document.hidden || this.isFetching) return;
    if ("still" in byId("page").dataset) return; // the answer to a form
    const isStale = String(this.revision) !== this.shownRevision;
    const wait = this.nextFetch - performance.now();
    if (!isStale && !this.hasNews()) return;
    if (!isStale && this.holdsRows()) return;
    if (wait > 0) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.refresh(), wait);
      return;
    }
    this.isFetching = true;
    const began = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      const fetched = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (fetched.getElementById("page")) this.replace(fetched);
    } catch {
      // the stream tells why
    } finally {
      this.isFetching = false;
      this.nextFetch = performance.now() + Math.max(this.pause, 10 * (performance.now() - began));
      this.show();
    }
  }

  replace(fetched) {
    const holds = this.holdsRows();
    const news = holds ? newRows(fetched) : [];
    Idiomorph.morph(byId("page"), fetched.getElementById("page"), {
      morphStyle: "outerHTML",
      ignoreActiveValue: true,
      callbacks: {
        beforeNodeMorphed: (old) => !(isKept(old) || (holds && old.id === "notices") || old.id === "state"),
        beforeNodeRemoved: (old) => !holdsInput(old),
        beforeAttributeUpdated: (name, node) =>
          !((name === "open" && node.tagName === "DETAILS") || (name === "hidden" && node.id === "select-page")),
      },
    });
    const csrf = fetched.querySelector("input[name=csrf]")?.value;
    if (csrf) for (const input of document.querySelectorAll("input[name=csrf]")) input.value = csrf;
    this.title = fetched.title;
    this.take(fetched.getElementById("as-of").dataset);
    this.prepare();
    const button = byId("news");
    if (button) {
      button.hidden = news.length === 0;
      setText(button, `${news.length} new: show them`);
    }
  }

  // The table of notices stands still while somebody reads it

  holdsRows() {
    const table = byId("notices");
    if (!table) return false;
    const place = table.getBoundingClientRect();
    const isScrolled = place.top < 0 && place.bottom > 0;
    return this.isPaused || isScrolled || table.matches(":hover") || table.contains(document.activeElement);
  }

  hasNews() {
    return byId("news") !== null && !byId("news").hidden;
  }

  prepare() {
    const pause = byId("pause");
    if (pause) {
      pause.hidden = false;
      pause.setAttribute("aria-pressed", String(this.isPaused));
    }
    const bell = byId("ring");
    if (bell) {
      bell.hidden = !("Notification" in window);
      bell.setAttribute("aria-pressed", String(isRinging()));
    }
  }

  clicked(event) {
    if (event.target.id === "pause") {
      this.isPaused = !this.isPaused;
      this.prepare();
      this.refresh();
    } else if (event.target.id === "news") {
      this.isPaused = false;
      byId("latest").scrollIntoView();
      event.target.blur();
      this.nextFetch = 0;
      this.refresh();
    } else if (event.target.id === "ring") {
      switchRinging().then(() => this.prepare());
    }
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function spoken(seconds) {
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} minutes`;
}

function isKept(node) {
  if (node.tagName !== "FORM") return false;
  const controls = [...node.elements].filter((one) => one.type !== "hidden" && one.type !== "submit");
  return controls.some((one) =>
    one.type === "checkbox"
      ? one.checked !== one.defaultChecked
      : one.options
        ? [...one.options].some((option) => option.selected !== option.defaultSelected) && one.selectedIndex > 0
        : one.value !== one.defaultValue,
  );
}

// Also a part of the page that is not there any more, such as a bill's while the index is built anew.
function holdsInput(node) {
  return node.nodeType === Node.ELEMENT_NODE && [node, ...node.querySelectorAll("form")].some(isKept);
}

function newRows(fetched) {
  return [...fetched.querySelectorAll("#notices tr[id]")].filter((row) => !byId(row.id));
}

// Alerts to new do-not-loads, for those who asked for them

function isRinging() {
  return localStorage.getItem("ring") === "yes" && Notification.permission === "granted";
}

async function switchRinging() {
  const isWanted = !isRinging() && (await Notification.requestPermission()) === "granted";
  localStorage.setItem("ring", isWanted ? "yes" : "no");
  if (isWanted) chime();
}

function ring(stop) {
  if (!("Notification" in window) || !isRinging()) return;
  navigator.locks.request("ring", { ifAvailable: true }, async (lock) => {
    if (lock === null) return; // another tab rings
    new Notification("Do not load", { body: `${stop.bill} ${stop.vessel_name ?? ""}`, tag: stop.bill });
    chime();
    await new Promise((done) => setTimeout(done, 1000));
  });
}

function chime() {
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  tone.connect(audio.destination);
  tone.start();
  tone.stop(audio.currentTime + 0.4);
}

if (byId("as-of")) new LivePage();
