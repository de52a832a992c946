/* The observation chart: every value at a touch, or from set to set with the arrow keys.
   Words and places are the server's; this file only moves a line and shows the words.

     figure  data-reads            a chart; data-at of the stop that is shown is kept
     rect    .stop                 a moment: data-at, data-x, data-words, data-what
     line    .cursor               the line through all panels
     [role=slider]                 the readout, and what the arrow keys move */
(() => {
  "use strict";
  const KEYS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -4, PageUp: 4 };
  let kept = null; // the moment somebody chose: a chart drawn anew shows it again

  const stops = (chart) => [...chart.querySelectorAll(".stop")];
  const show = (chart, stop) => {
    if (!stop) return;
    const cursor = chart.querySelector(".cursor");
    const slider = chart.querySelector("[role=slider]");
    kept = stop.dataset.at;
    cursor.setAttribute("x1", stop.dataset.x);
    cursor.setAttribute("x2", stop.dataset.x);
    cursor.removeAttribute("visibility");
    slider.setAttribute("aria-valuenow", stops(chart).indexOf(stop) + 1);
    slider.setAttribute("aria-valuetext", stop.dataset.words);
    slider.textContent = stop.dataset.words;
  };

  document.addEventListener("keydown", (event) => {
    const chart = event.target.matches?.("[role=slider]") && event.target.closest("[data-reads]");
    if (!chart) return;
    const all = stops(chart);
    const here = Number(event.target.getAttribute("aria-valuenow")) - 1;
    const to = { Home: 0, End: all.length - 1 }[event.key] ?? here + KEYS[event.key];
    if (Number.isNaN(to)) return;
    event.preventDefault();
    show(chart, all[Math.min(Math.max(to, 0), all.length - 1)]);
  });

  const point = (event) => {
    const chart = event.target.closest?.("[data-reads] svg")?.closest("[data-reads]");
    if (!chart) return;
    // A finger that moves stays with the stop it began on: ask what is under it now.
    show(chart, document.elementFromPoint(event.clientX, event.clientY)?.closest(".stop"));
  };
  document.addEventListener("pointerdown", point);
  document.addEventListener("pointermove", point);

  document.addEventListener("clinic:settled", () => {
    const chart = kept && document.querySelector("[data-reads]");
    if (chart) show(chart, stops(chart).find((stop) => stop.dataset.at === kept));
  });
})();
