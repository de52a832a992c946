/* A question over the page keeps the keyboard until it is answered or left: Tab goes
   round in it, Escape (the browser's own) changes nothing and leads back to the button
   that asked. */
(() => {
  "use strict";
  const { $, $$ } = window.clinic;
  const OPEN = ".confirm:popover-open";
  const stops = (box) => $$("a[href], button, input, select, textarea, summary, [tabindex='0']", box)
    .filter((each) => !each.disabled && each.type !== "hidden" && each.checkVisibility());
  let back = false;
  const enter = (box) => {
    const all = stops(box);
    (back ? all.at(-1) : all[0])?.focus();
    back = false;
  };

  document.addEventListener("toggle", ({ target: box, newState }) => {
    if (newState !== "open" || !box.matches(OPEN)) return;
    box.ariaModal = "true";
    if (!box.contains(document.activeElement)) enter(box);
  }, true);
  document.addEventListener("keydown", (event) => { back = event.key === "Tab" && event.shiftKey; });
  document.addEventListener("focusin", (event) => {
    const box = $(OPEN);
    if (box && !box.contains(event.target) && !event.target.closest("dialog[open]")) enter(box);
  });
})();
