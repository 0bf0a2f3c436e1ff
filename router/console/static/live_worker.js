// Holds the one stream of a browser, for all its tabs. A browser without shared workers runs it once a tab.
"use strict";

const PROBE_MILLISECONDS = 3000;
const SILENCE_MILLISECONDS = 15000; // three beats: a broken route ends no connection
const ports = new Set();
let source = null;
let silence = null;
let latest = { state: "connecting" };

function tell(message) {
  latest = { ...message, stops: [] }; // for a tab that is opened later: what is new is told once
  for (const port of ports) port.postMessage(message);
}

function connect() {
  source = new EventSource("/live");
  source.onmessage = (event) => {
    expectMore();
    tell({ state: "live", beat: JSON.parse(event.data), stops: JSON.parse(event.data).stops });
  };
  source.onerror = lost;
  expectMore();
}

function expectMore() {
  clearTimeout(silence);
  silence = setTimeout(lost, SILENCE_MILLISECONDS);
}

async function lost() {
  clearTimeout(silence);
  source.close();
  let state = "cut";
  try {
    const answer = await fetch("/live", { method: "HEAD", signal: AbortSignal.timeout(PROBE_MILLISECONDS) });
    if (answer.status === 401) state = "out";
    else if (answer.status === 503) state = "full";
  } catch {
    // the console does not answer
  }
  tell({ state, stops: [] });
  setTimeout(connect, state === "cut" ? PROBE_MILLISECONDS / 3 : PROBE_MILLISECONDS);
}

function attach(port) {
  ports.add(port);
  port.onmessage = (event) => {
    if (event.data === "bye") ports.delete(port);
    else if (event.data === "again" && source.readyState !== EventSource.OPEN) source.onerror();
  };
  port.postMessage(latest);
  if (source === null) connect();
}

if ("SharedWorkerGlobalScope" in self) self.onconnect = (event) => attach(event.ports[0]);
else attach(self);
