/* A line that drops loses nothing: what is pressed waits in this page's memory, never in
   a storage of the browser, with its submission key and the server's time of the press.
   It is sent once the line is back, in the order in which it was pressed.

     form    data-waits="Vitals"  its press may wait; the word by which it is called
     button  data-saves           reads "Save when back" while there is no line
             data-raises          raises a rate: not to be pressed without the line
     td      data-of="pulse"      in the row of a waiting set: the fields it shows */
(() => {
  "use strict";
  const { now, say, hms, words, correct } = window.clinic;
  const bar = document.getElementById("offline");
  if (!bar) return;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const waiting = [];
  let since = 0; // when the line was lost; 0 while there is one
  let fault = ""; // why the server did not take what waits
  let sending = false;
  let tries = 0;
  let timer = 0;
  const clock = (ms) => hms(ms).slice(0, 5);

  /* ---- What is shown ---------------------------------------------------------------- */

  const counted = (n) => (n === 1 ? words().waitsOne : words().waitsMany.replace("%n", n));
  const button = (text, press) => {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "btn";
    made.textContent = text;
    made.addEventListener("click", press);
    return made;
  };
  const line = (strong, text, ...buttons) => {
    const made = document.createElement("p");
    const bold = document.createElement("b");
    bold.textContent = strong;
    made.append(bold, text);
    return [made, ...buttons];
  };
  const row = (entry) => {
    const made = $("#waiting-row").content.firstElementChild.cloneNode(true);
    $("th", made).textContent = clock(entry.at);
    const cells = $$("[data-of]", made);
    if (entry.body.has("systolic_mmhg")) {
      for (const cell of cells) {
        cell.textContent = cell.dataset.of.split(" ")
          .map((name) => entry.body.get(name) || "–").join("/");
      }
    } else {
      cells.slice(1).forEach((cell) => cell.remove());
      cells[0].colSpan = cells.length;
      cells[0].textContent = entry.words;
    }
    if (entry.why) $("[data-how]", made).textContent = words().notSaved;
    return made;
  };

  let drawn = "";
  const draw = () => {
    const left = waiting.filter((entry) => !entry.why).length;
    const shown = [];
    if (since) {
      const said = left ? `, ${counted(left)}` : "";
      shown.push(...line(`${words().offline} ${clock(since)}`, `${said}. ${words().noRaise}`));
    } else if (left) {
      shown.push(...line(`${words().notSaved}: `, `${counted(left)}. ${fault || words().sending}`));
    }
    for (const entry of waiting.filter((each) => each.why)) {
      const text = `${entry.words}, ${clock(entry.at)}. ${entry.why}`;
      shown.push(...line(`${words().notSaved}: `, entry.form ? `${text} ${words().comesBack}` : text,
        ...(entry.form ? [] : [button(words().sendAgain, () => again(entry))]),
        button(words().leaveOut, () => { drop(entry); draw(); })));
    }
    bar.hidden = !shown.length;
    bar.classList.toggle("mild", !waiting.length);
    const text = shown.map((node) => node.textContent).join();
    if (text !== drawn) bar.replaceChildren(...shown);
    drawn = text;
    bar.style.insetBlockStart = `${$(".banner")?.offsetHeight ?? 0}px`;

    $$("tr[data-waiting]").forEach((old) => old.remove());
    const table = $("#visit-evidence tbody");
    for (const entry of table ? waiting : []) table.prepend(row(entry));
    for (const save of $$("[data-saves]")) {
      if (since && !save.kept) {
        save.kept = [...save.childNodes];
        save.replaceChildren(words().whenBack);
      } else if (!since && save.kept) {
        save.replaceChildren(...save.kept);
        delete save.kept;
      }
    }
    for (const raise of $$("[data-raises]")) raise.disabled = Boolean(since);
    for (const act of $$("form[data-waits][data-no-guard]:not([hx-include]) [type=submit]")) {
      const held = waiting.some((entry) => entry.path === act.form.getAttribute("action"));
      if (held || act.held) act.disabled = act.held = held;
    }
    const blind = $("#reaction-offline");
    if (blind) blind.hidden = !since || !$("#chips-form :checked");
  };

  /* ---- Kept ------------------------------------------------------------------------- */

  const newKey = () => crypto.randomUUID?.()
    ?? "10000000-1000-4000-8000-100000000000".replace(/[018]/g,
      (c) => (c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (c / 4)))).toString(16));

  // The form is free for the next entry: what was typed is in the entry now.
  const clear = (form) => {
    $$("[popover]:popover-open").forEach((open) => open.hidePopover());
    delete form.dataset.dirty;
    form.reset();
    $$("input.box, textarea", form).forEach((box) => { box.value = ""; });
    $$("[name=pressed_at], .errors, [name=confirmed]", form).forEach((old) => old.remove());
    if (form.elements.submission_key) form.elements.submission_key.value = newKey();
    if (form.id.startsWith("reaction")) {
      $("#chips-form").reset();
      if (form.id === "reaction-form") form.parentElement.hidden = true;
    }
  };
  const keep = (form, target, values, at) => {
    const body = new URLSearchParams();
    for (const [name, value] of values.entries()) body.append(name, value);
    if (waiting.some((entry) => entry.body.get("submission_key") === body.get("submission_key"))) return;
    if (!body.get("pressed_at")) body.set("pressed_at", `${new Date(at).toISOString().slice(0, 19)}Z`);
    waiting.push({
      at: Date.parse(body.get("pressed_at")), body, target: `#${target.id}`,
      path: form.getAttribute("action"), words: form.dataset.waits,
      form: form.id.startsWith("reaction") || !form.hasAttribute("data-no-guard"),
    });
    clear(form);
    draw();
    say(`${words().notSaved}: ${counted(waiting.length)}`);
  };
  const drop = (entry) => waiting.splice(waiting.indexOf(entry), 1);

  // Pressed without a line, or behind what still waits: it takes its place in the order.
  document.addEventListener("htmx:confirm", (event) => {
    const { elt, target, verb, triggeringEvent } = event.detail;
    const form = elt.closest("form[data-waits]");
    if (event.defaultPrevented || verb === "get" || !form || triggeringEvent?.type !== "submit") return;
    if (!since && !waiting.some((entry) => !entry.why)) return;
    event.preventDefault();
    if (!form.hasAttribute("data-no-guard") && form.id === "vitals-form" && !("dirty" in form.dataset)) return;
    keep(form, target, window.htmx.values(elt, "post"), now());
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    event.detail.xhr.pressed = now();
  });

  // A request that brought no answer, or met the end of the login.
  document.addEventListener("clinic:unsent", (event) => {
    const { elt, xhr, target, code, requestConfig } = event.detail;
    const cut = code === 0 || code === "timeout";
    if ((!cut && code !== 401) || elt.matches("[data-live]")) return;
    if (cut) fell();
    const form = elt.closest("form[data-waits]");
    const pressed = xhr.clinic?.wrote;
    if (form && pressed) keep(form, target, requestConfig.formData, xhr.pressed);
    if ((form && pressed) || (cut && !pressed)) event.preventDefault();
  });

  /* ---- Sent ------------------------------------------------------------------------- */

  const post = (entry) => fetch(entry.path, {
    method: "POST", body: entry.body, redirect: "manual", signal: AbortSignal.timeout(15000),
    headers: { "HX-Request": "true", "HX-Target": entry.target.slice(1), Waited: "1" },
  });
  const isTyping = (entry) => Boolean($(`${entry.target} form[data-dirty]`));

  // Swaps an answer in; what is being typed meanwhile keeps its values and the cursor.
  const show = (entry, status, html) => {
    const active = document.activeElement;
    const typed = isTyping(entry);
    const kept = typed || status === 200;
    window.htmx.swap(entry.target, kept ? html.replace(/\sautofocus(?=[\s=>/])/g, "") : html,
      { swapStyle: "outerHTML" }, { eventInfo: { xhr: { status } } });
    if (typed) {
      const form = $(`${entry.target} form[data-waits]`);
      if (form) form.dataset.dirty = "";
      const fold = form?.closest("details");
      if (fold) fold.open = true;
    }
    const same = active.isConnected ? active : document.getElementById(active.id);
    if (kept && same !== document.body) same?.focus({ preventScroll: true });
  };
  const reason = (html) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    const said = $("[data-notice], .notsaved, .ask, .errors, .err", page)?.textContent ?? "";
    return said.replace(/\s+/g, " ").replace(/^[^:]*NOT SAVED:? */i, "").trim();
  };

  // True: go on with the next one.
  const send = async (entry) => {
    let answer;
    let html;
    try {
      answer = await post(entry);
      html = await answer.text();
    } catch {
      fell();
      return false;
    }
    correct(answer.headers.get("Date"));
    const { status } = answer;
    if (status === 401 || status === 403) {
      const token = status === 403 && !entry.refused && await window.clinic.sameUser();
      if (status === 401) window.clinic.lock();
      if (!token) return false;
      entry.refused = true;
      return send(entry);
    }
    if (status >= 500 || status === 429) {
      fault = words()[`e${status}`] ?? words().e500;
      return false;
    }
    fault = "";
    if (status === 200) {
      drop(entry);
      show(entry, status, html);
      // An own act counts the visit's version up by one; anybody else's does not pass.
      const version = $("[name=version]")?.value;
      for (const { body, tried } of waiting) {
        if (!tried && Number(body.get("version")) + 1 === Number(version)) body.set("version", version);
      }
      const told = answer.headers.get("HX-Trigger");
      if (told) Object.keys(JSON.parse(told)).forEach((name) => window.htmx.trigger(document.body, name));
      say(`${words().savedLate}: ${entry.words} ${clock(entry.at)}`);
      return true;
    }
    entry.why = reason(html) || words()[`e${status}`] || `${words().e500} (${status})`;
    entry.answer = { status, html };
    if (!entry.form && (status === 409 || status === 422)) show(entry, status, html);
    comeBack();
    say(`${words().notSaved}: ${entry.words}. ${entry.why}`);
    return true;
  };
  // What was refused goes back into its form, with its reason, when nothing is typed there.
  const comeBack = () => {
    for (const entry of waiting.filter((each) => each.why && each.form)) {
      const { status, html } = entry.answer;
      if ((status !== 422 && status !== 409) || isTyping(entry)) continue;
      drop(entry);
      show(entry, status, html);
    }
  };
  const again = (entry) => {
    const version = $("[name=version]")?.value;
    if (version && entry.body.has("version")) entry.body.set("version", version);
    delete entry.why;
    flush();
  };

  const flush = async () => {
    if (sending || since || "locked" in document.documentElement.dataset) return;
    sending = true;
    for (let entry; (entry = waiting.find((each) => !each.why));) {
      draw();
      const goOn = await send(entry);
      entry.tried = true;
      if (!goOn) break;
    }
    sending = false;
    if (fault) wait(flush);
    draw();
  };

  /* ---- The line --------------------------------------------------------------------- */

  const wait = (then) => {
    clearTimeout(timer);
    timer = setTimeout(then, Math.min(5000, 500 * 2 ** tries));
    tries += 1;
  };
  const fell = () => {
    if (!since) { since = now(); tries = 0; draw(); say(bar.textContent); }
    wait(listen);
  };
  const back = () => {
    if (!since) return;
    since = 0;
    tries = 0;
    clearTimeout(timer);
    draw();
    say(words().online);
    flush();
    if ($("#chips-form :checked") && $("#visit-reaction")?.hidden) {
      window.htmx.trigger("#chips-form", "change");
    }
  };
  // The head of a file: it asks nothing of the record and keeps no login alive.
  const listen = async () => {
    try {
      const answer = await fetch($("link[rel=icon]").href, {
        method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(5000),
      });
      correct(answer.headers.get("Date"));
      back();
    } catch {
      wait(listen);
    }
  };
  addEventListener("offline", fell);
  addEventListener("online", listen);
  document.addEventListener("htmx:afterRequest", (event) => {
    // An answer may have been on its way when the line was lost: listen whether it is back.
    if (event.detail.xhr?.status) (since ? listen : flush)();
  });
  document.addEventListener("htmx:afterSettle", () => { comeBack(); draw(); });
  document.addEventListener("change", draw);
  document.addEventListener("clinic:unlocked", (event) => {
    for (const { body } of waiting) body.set("csrfmiddlewaretoken", event.detail);
    flush();
  });
  addEventListener("beforeunload", (event) => { if (waiting.length) event.preventDefault(); });
  window.clinic.waiting = waiting;
})();
