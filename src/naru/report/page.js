"use strict";
// Values under the pointer; the page is complete without it.
(() => {
  const { seconds, rows } = JSON.parse(document.getElementById("timeline-data").textContent);
  const readout = document.querySelector("#timeline .readout");
  const clock = (at) => `${Math.floor(at / 60)}:${String(Math.floor(at % 60)).padStart(2, "0")}`;
  const nearest = (at) =>
    rows.reduce((best, row) => (Math.abs(row[0] - at) < Math.abs(best[0] - at) ? row : best));
  for (const chart of document.querySelectorAll("svg.timeline")) {
    const cursor = chart.querySelector(".cursor");
    const from = Number(chart.dataset.from);
    const to = Number(chart.dataset.to);
    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect();
      const place = ((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width;
      const share = Math.min(1, Math.max(0, (place - from) / (to - from)));
      const row = nearest(share * seconds);
      const x = from + (row[0] / seconds) * (to - from);
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      cursor.style.visibility = "visible";
      readout.textContent = `${clock(row[0])}   ${row[1]}`;
    });
    chart.addEventListener("pointerleave", () => {
      cursor.style.visibility = "hidden";
      readout.textContent = "";
    });
  }
})();
