/* A line that drops loses nothing: what is pressed waits in this page's memory, never in
   a storage of the browser, with its submission key and the server's time of the press.
   It is sent once the line is back, in the order in which it was pressed.

     form    data-waits="Vitals"  its press may wait; the word by which it is called
     button  data-saves           reads "Save when back" while there is no line
             data-raises          raises a rate: not to be pressed without the line
     any     data-line            leads to another page: shown while there is a line,
             data-no-line         and what to do in its place while there is none
     td      data-of="pulse"      in the row of a waiting set: the fields it shows */
(() => {
  "use strict";
  const { $, $$, now, say, hms, words, correct } = window.clinic;
  const bar = $("#offline");
  if (!bar) return;
  const waiting = window.clinic.waiting = [];
  // When the line was lost, 0 while there is one; why the server took nothing.
  let since = 0;
  let fault = "";
  let sending = false;
  let tries = 0;
  let timer = 0;
  const clock = (ms) => hms(ms).slice(0, 5);
  const left = () => waiting.filter((entry) => !entry.why);
  const refused = () => waiting.filter((entry) => entry.why);
  const guards = (form) => !form.hasAttribute("data-no-guard");

  /* ---- What is shown ---------------------------------------------------------------- */

  const counted = (n) => (n === 1 ? words().waitsOne : words().waitsMany.replace("%n", n));
  const made = (tag, text, press) => {
    const node = document.createElement(tag);
    node.textContent = text;
    if (press) Object.assign(node, { type: "button", className: "btn", onclick: press });
    return node;
  };
  const line = (strong, text) => {
    const node = made("p", text);
    node.prepend(made("b", strong));
    return node;
  };
  const row = (entry) => {
    const node = $("#waiting-row").content.firstElementChild.cloneNode(true);
    const cells = $$("[data-of]", node);
    $("th", node).textContent = clock(entry.at);
    for (const cell of cells) {
      cell.textContent = cell.dataset.of.split(" ").map((name) => entry.body.get(name) || "–").join("/");
    }
    if (!entry.body.has("pulse")) {
      cells.splice(1).forEach((cell) => cell.remove());
      Object.assign(cells[0], { colSpan: 5, className: "l", textContent: entry.words });
    }
    if (entry.why) $("b", node).textContent = words().notSaved;
    return node;
  };

  let drawn = "";
  const draw = () => {
    const word = words();
    const n = left().length;
    const shown = [];
    if (since) shown.push(line(`${word.offline} ${clock(since)}`, `${n ? `, ${counted(n)}` : ""}. ${word.noRaise}`));
    else if (n) shown.push(line(`${word.notSaved}: `, `${counted(n)}. ${fault || word.sending}`));
    // Pressed while the line seemed to stand: the pump may run where no rule was asked.
    if (left().some(({ body, path }) => body.has("step_up_to") || path.includes("/resume/"))) {
      shown.push(line("", word.unchecked));
    }
    for (const entry of refused()) {
      const text = `${entry.words}, ${clock(entry.at)}. ${entry.why}`;
      shown.push(line(`${word.notSaved}: `, entry.back ? `${text} ${word.comesBack}` : text));
      if (!entry.back) shown.push(made("button", word.sendAgain, () => again(entry)));
      shown.push(made("button", word.leaveOut, () => { drop(entry); draw(); }));
    }
    const text = shown.map((node) => node.textContent).join();
    if (text !== drawn) bar.replaceChildren(...shown);
    drawn = text;
    bar.hidden = !text;
    bar.classList.toggle("mild", !waiting.length);
    if (text) bar.style.insetBlockStart = `${$(".banner")?.offsetHeight ?? 0}px`;

    $$("tr[data-waiting]").forEach((old) => old.remove());
    $("#visit-evidence tbody")?.prepend(...waiting.map(row).reverse());
    for (const save of $$("[data-saves]")) {
      if (since) save.kept ??= [...save.childNodes];
      if (save.kept) save.replaceChildren(...(since ? [word.whenBack] : save.kept));
      if (!since) delete save.kept;
    }
    for (const raise of $$("[data-raises]")) raise.disabled = Boolean(since);
    for (const part of $$("[data-line]")) part.hidden = Boolean(since);
    for (const part of $$("[data-no-line]")) part.hidden = !since;
    // An act that waits is not pressed a second time; a set or a reaction is another one.
    for (const act of $$("[data-waits][data-no-guard]:not([hx-include]) [type=submit]")) {
      const held = waiting.some((entry) => entry.path === act.form.getAttribute("action"));
      if (held || act.held) act.disabled = act.held = held;
    }
    const blind = $("#reaction-offline");
    if (blind) blind.hidden = !since || !$("#chips-form :checked");
  };

  /* ---- Kept ------------------------------------------------------------------------- */

  // The form is free for the next entry: what was typed is in the entry now.
  const clear = (form) => {
    $$("[popover]:popover-open").forEach((open) => open.hidePopover());
    delete form.dataset.dirty;
    form.reset();
    $$("input.box, textarea", form).forEach((box) => { box.value = ""; });
    $$("[name=pressed_at], .errors, [name=confirmed]", form).forEach((old) => old.remove());
    form.elements.submission_key.value = crypto.randomUUID?.() ?? ""; // empty: the server makes one
    if (form.id.startsWith("reaction")) $("#chips-form").reset();
    if (form.id === "reaction-form") form.parentElement.hidden = true;
  };
  const keep = (form, target, values, at) => {
    const body = new URLSearchParams([...values.entries()]);
    const key = body.get("submission_key");
    if (waiting.some((entry) => entry.body.get("submission_key") === key)) return;
    if (!body.get("pressed_at")) body.set("pressed_at", `${new Date(at).toISOString().slice(0, 19)}Z`);
    waiting.push({
      at: Date.parse(body.get("pressed_at")), body, target: `#${target.id}`,
      path: form.getAttribute("action"), words: form.dataset.waits,
      form: guards(form) || form.id === "reaction-offline",
    });
    clear(form);
    draw();
    say(`${words().notSaved}: ${counted(waiting.length)}`);
  };
  const drop = (entry) => waiting.splice(waiting.indexOf(entry), 1);

  // Pressed without a line, or behind what still waits: it takes its place in the order.
  document.addEventListener("htmx:confirm", (event) => {
    const { elt, target, triggeringEvent } = event.detail;
    const form = elt.closest("form[data-waits]");
    if (event.defaultPrevented || !form || triggeringEvent?.type !== "submit") return;
    if (!since && !left().length) return;
    event.preventDefault();
    if (form.id === "vitals-form" && !("dirty" in form.dataset)) return;
    keep(form, target, window.htmx.values(elt, "post"), now());
  });
  document.addEventListener("htmx:beforeRequest", (event) => { event.detail.xhr.pressed = now(); });

  // A request that brought no answer, or met the end of the login.
  document.addEventListener("clinic:unsent", (event) => {
    const { elt, xhr, target, code, requestConfig } = event.detail;
    const cut = code === 0 || code === "timeout";
    if ((!cut && code !== 401) || elt.matches("[data-live]")) return;
    if (cut) fell();
    const form = xhr.clinic?.wrote && elt.closest("form[data-waits]");
    if (form) keep(form, target, requestConfig.formData, xhr.pressed);
    if (form || (cut && !xhr.clinic?.wrote)) event.preventDefault();
  });

  /* ---- Sent ------------------------------------------------------------------------- */

  const isTyping = (entry) => Boolean($(`${entry.target} form[data-dirty]`));

  // Swaps an answer in; what is being typed meanwhile keeps its values and the cursor.
  const show = (entry, status, html) => {
    const active = document.activeElement;
    const typed = isTyping(entry);
    const kept = typed || status === 200;
    window.htmx.swap(entry.target, kept ? html.replace(/\sautofocus(?=[\s=>/])/g, "") : html,
      { swapStyle: "outerHTML" }, { eventInfo: { xhr: { status } } });
    const form = typed && $(`${entry.target} form[data-waits]`);
    if (form) form.dataset.dirty = "";
    if (form) form.closest("details")?.setAttribute("open", "");
    const same = active.isConnected ? active : document.getElementById(active.id);
    if (kept && same !== document.body) same?.focus({ preventScroll: true });
  };
  const reason = (html) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    const said = $("[data-notice], .notsaved, .ask, .errors", page)?.textContent ?? "";
    return said.replace(/\s+/g, " ").replace(words().notSaved, "").replace(/^[\s:]+/, "").trim();
  };

  // True: go on with the next one.
  const send = async (entry) => {
    let answer;
    let html;
    try {
      answer = await fetch(entry.path, {
        method: "POST", body: entry.body, signal: AbortSignal.timeout(15000),
        headers: { "HX-Request": "true", "HX-Target": entry.target.slice(1), Waited: "1" },
      });
      html = await answer.text();
    } catch {
      fell();
      return false;
    }
    const { status, headers } = answer;
    correct(headers.get("Date"));
    if (status === 401) {
      window.clinic.lock();
      return false;
    }
    fault = status >= 500 || status === 429 ? words()[`e${status}`] ?? words().e500 : "";
    if (fault) return false;
    if (status !== 200) {
      entry.why = reason(html) || words()[`e${status}`] || `${words().e500} (${status})`;
      say(`${words().notSaved}: ${entry.words}. ${entry.why}`);
      if (status !== 409 && status !== 422) return true;
      // Where its form is gone, as after a discharge, it stays in the table and the bar.
      if (entry.form && html.includes(entry.body.get("submission_key"))) {
        entry.back = () => show(entry, status, html);
      } else {
        show(entry, status, html);
        $("#visit-now [data-notice]")?.parentElement.remove();
      }
      comeBack();
      return true;
    }
    drop(entry);
    show(entry, status, html);
    // An own act counts the visit's version up by one; anybody else's does not pass.
    const version = $("[name=version]")?.value;
    for (const { body, tried } of waiting) {
      if (!tried && Number(body.get("version")) + 1 === Number(version)) body.set("version", version);
    }
    for (const name of Object.keys(JSON.parse(headers.get("HX-Trigger") ?? "{}"))) {
      window.htmx.trigger(document.body, name);
    }
    say(`${words().savedLate}: ${entry.words} ${clock(entry.at)}`);
    return true;
  };
  // What was refused goes back into its form, with its reason, when nothing is typed there.
  const comeBack = () => {
    for (const entry of waiting.filter((each) => each.back && !isTyping(each))) {
      drop(entry);
      entry.back();
    }
  };
  // Somebody has seen what stands now, and says that it is to be sent all the same.
  const again = async (entry) => {
    if (!(await window.clinic.sameUser())) return;
    const version = $("[name=version]")?.value;
    if (version && entry.body.has("version")) entry.body.set("version", version);
    delete entry.why;
    flush();
  };

  const flush = async () => {
    if (sending || since || "locked" in document.documentElement.dataset) return;
    sending = true;
    for (let entry; (entry = left()[0]);) {
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
    if (!since) {
      since = now();
      tries = 0;
      draw();
      say(bar.textContent);
    }
    wait(listen);
  };
  // The head of a file: it asks nothing of the record and keeps no login alive.
  const listen = async () => {
    try {
      const answer = await fetch($("link[rel=icon]").href, {
        method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(5000),
      });
      correct(answer.headers.get("Date"));
    } catch {
      wait(listen);
      return;
    }
    if (!since) return;
    since = tries = 0;
    clearTimeout(timer);
    draw();
    say(words().online);
    flush();
    // The protocol can be asked again about what was tapped meanwhile.
    if ($("#chips-form :checked") && $("#visit-reaction")?.hidden) {
      window.htmx.trigger("#chips-form", "change");
    }
  };
  addEventListener("offline", fell);
  addEventListener("online", listen);
  // An answer may have been on its way when the line was lost: listen whether it is back.
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.xhr?.status) (since ? listen : flush)();
  });
  document.addEventListener("clinic:settled", () => { comeBack(); draw(); });
  document.addEventListener("change", draw);
  addEventListener("resize", draw);
  document.addEventListener("clinic:unlocked", (event) => {
    for (const { body } of waiting) body.set("csrfmiddlewaretoken", event.detail);
    flush();
  });
  addEventListener("beforeunload", (event) => { if (waiting.length) event.preventDefault(); });
})();
