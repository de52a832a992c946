/* What became due, late or flagged since the page was opened: said once, and sounded
   where a nurse turned the sound on.

     any     data-alarm="key"      something to tell once; data-at="ISO" only from then on
             data-say              the words for a screen reader, politely
             data-sound="3"        pulses of the sound: 3 for a flag, 2 for late vital signs
             data-redraw           asks the page to draw its numbers anew
     button  data-sound-switch     turns the sound on by a test tone, and off
     body    data-sound-wanted     the user's setting: sound wherever the browser lets it */
(() => {
  "use strict";
  const { now, say, words } = window.clinic;
  const told = new Set();
  let opened = false;

  /* ---- Sound ------------------------------------------------------------------------ */

  let tones = null;
  let wanted = document.body.hasAttribute("data-sound-wanted");
  const armed = () => wanted && tones?.state === "running";

  const arm = () => {
    if (!wanted || !window.AudioContext) return;
    tones ??= new AudioContext();
    tones.onstatechange = showSwitch;
    // A browser lets a page sound only after a touch; until then it stays suspended.
    if (tones.state !== "running") tones.resume().then(showSwitch, showSwitch);
    showSwitch();
  };
  const sound = (pulses) => {
    if (!armed()) return;
    for (let pulse = 0; pulse < pulses; pulse += 1) {
      const tone = tones.createOscillator();
      const volume = tones.createGain();
      const from = tones.currentTime + pulse * 0.32;
      tone.frequency.value = pulses > 2 ? 880 : 587;
      volume.gain.setValueAtTime(0, from);
      volume.gain.linearRampToValueAtTime(0.5, from + 0.02);
      volume.gain.setValueAtTime(0.5, from + 0.18);
      volume.gain.linearRampToValueAtTime(0, from + 0.22);
      tone.connect(volume).connect(tones.destination);
      tone.start(from);
      tone.stop(from + 0.24);
    }
  };
  const showSwitch = () => {
    const state = !window.AudioContext ? "none" : !wanted ? "off" : armed() ? "on" : "waits";
    for (const node of document.querySelectorAll("[data-sound-switch]")) {
      const text = node.querySelector("span");
      const said = words()[`sound${state[0].toUpperCase()}${state.slice(1)}`];
      if (text.textContent !== said) text.textContent = said;
      node.setAttribute("aria-pressed", String(state === "on"));
    }
  };
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-sound-switch]")) return;
    wanted = !armed();
    if (!wanted) { tones?.suspend().then(showSwitch); showSwitch(); return; }
    arm();
    tones?.resume().then(() => sound(3)); // the test: she hears it, or turns it louder
  });
  for (const kind of ["pointerdown", "keydown"]) {
    document.addEventListener(kind, (event) => {
      if (wanted && !armed() && !event.target.closest?.("[data-sound-switch]")) arm();
    });
  }

  /* ---- Telling ---------------------------------------------------------------------- */

  const look = () => {
    const fresh = [...document.querySelectorAll("[data-alarm]:not([data-still] *)")].filter(({ dataset }) =>
      !told.has(dataset.alarm) && !(Date.parse(dataset.at) > now()));
    if (!fresh.length) return;
    fresh.forEach((node) => told.add(node.dataset.alarm));
    if (!opened) return; // what was there when the page was opened is read with it
    const said = [...new Set(fresh.map((node) => node.dataset.say).filter(Boolean))];
    if (said.length) say(said.join(". "));
    sound(Math.max(...fresh.map((node) => Number(node.dataset.sound) || 0)));
    if (fresh.some((node) => "redraw" in node.dataset)) {
      document.body.dispatchEvent(new Event("visit-due"));
    }
  };

  arm();
  showSwitch();
  look();
  opened = true;
  setInterval(look, 1000);
  document.addEventListener("clinic:settled", () => { showSwitch(); look(); });
})();
