// Selects all bills of a page at once, and counts those selected. Without it, each is selected by its own box.
"use strict";

const all = document.querySelector("#select-page");
const form = all?.closest("form");

if (form) {
  const boxes = () => [...form.querySelectorAll("input[name^='bill:']")];
  const button = form.querySelector("fieldset button");
  const show = () => {
    const chosen = boxes().filter((box) => box.checked).length;
    button.textContent = chosen ? `Preview ${chosen} selected` : "Preview";
    all.checked = chosen > 0 && chosen === boxes().length;
    all.indeterminate = chosen > 0 && !all.checked;
  };
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes()) box.checked = all.checked;
    show();
  });
  form.addEventListener("change", show);
  show();
}
