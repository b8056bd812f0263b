"use strict";
// Filters by table, kind and text; the page is complete without it.
(() => {
  const form = document.querySelector(".filters");
  if (!form) return;
  const table = form.querySelector("select");
  const kinds = [...form.querySelectorAll("input[type=checkbox]")];
  const wanted = form.querySelector("input[type=search]");
  const said = form.querySelector("output");
  const sections = [...document.querySelectorAll("section.differing")];
  const findings = document.getElementById("findings");
  const apply = () => {
    const chosen = new Set(kinds.filter((box) => box.checked).map((box) => box.value));
    const text = wanted.value.trim().toLowerCase();
    const matches = (row) => !text || row.textContent.toLowerCase().includes(text);
    let shown = 0;
    for (const section of sections) {
      let here = 0;
      for (const row of section.querySelectorAll(".row")) {
        row.hidden = !(chosen.has(row.dataset.kind) && matches(row));
        here += row.hidden ? 0 : 1;
      }
      const named = section.querySelector(".row") !== null;
      section.hidden = Boolean(table.value && table.value !== section.dataset.name) || (named && !here);
      shown += section.hidden ? 0 : here;
    }
    if (findings) {
      findings.hidden = Boolean(table.value && table.value !== "Besides rows");
      for (const row of findings.querySelectorAll(".row")) row.hidden = !matches(row);
    }
    said.textContent = `${shown.toLocaleString("en")} rows shown`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
})();
