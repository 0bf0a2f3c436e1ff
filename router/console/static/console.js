// Puts new rows on top of the table of notices as the server sends them. Without it, the page is the same, but still.
"use strict";

const MOST_ROWS = 200;
const table = document.querySelector("#notices[data-live]");

if (table) {
  const body = table.tBodies[0];
  const missed = document.querySelector("#missed");
  let missedInAll = 0;
  const source = new EventSource(table.dataset.live);

  source.onmessage = (event) => {
    const delivery = JSON.parse(event.data);
    body.insertAdjacentHTML("afterbegin", delivery.rows);
    while (body.rows.length > MOST_ROWS) body.deleteRow(-1);
    missedInAll += delivery.missed;
    if (missedInAll) {
      missed.hidden = false;
      missed.textContent = `${missedInAll} notices went by too fast to show: narrow the filter, or see the bills.`;
    }
  };
  source.onerror = () => {
    missed.hidden = false;
    missed.textContent = "The line is cut; trying again. What came meanwhile is shown after a reload.";
  };
  source.onopen = () => {
    if (!missedInAll) missed.hidden = true;
  };
}
