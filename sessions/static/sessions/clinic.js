/* What the pages need beside htmx. No dependency, nothing stored in the browser, no
   number made here is ever saved: this file only shows time, moves focus and guards typing.

   Attributes it knows
     html   data-now, data-zone     server time of the page, the clinic's time zone
     body   data-user               who is signed in (compared before a retry)
     time   data-due="ISO"          counts down to it, then up with "+"
            data-since="ISO"        counts up from it
            data-count="clock"      m:ss in place of whole minutes
     region data-live="30"          a polled region; seconds until it counts as stale
            data-still              a past moment: its counts stand still
     any    data-updated            "updated 10:58:03", or "NOT UPDATING since 10:58:03"
     form   data-auto-advance       go on when a field is complete
            data-no-guard           no warning when left with typing in it
            data-downloads          answered by a file: the page stays, and so its buttons
     input  data-max, data-places   greatest value and decimals, for auto-advance
            data-whole="pattern"    what it holds when it is complete, likewise
            data-enter="submit"     Enter sends the form from this field
     button data-busy="Saving …"    its words while the request is in flight
     button data-print              prints the page
     group  .chip, data-clearable   tapping a chosen radio again clears it */
(() => {
  "use strict";
  const root = document.documentElement;
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
  const words = () => $("#words")?.dataset ?? {};

  /* ---- Time: the server's, shown in the clinic's zone ------------------------------ */

  // The server's time, and how long ago it was by two clocks of this tablet: one that
  // can be set, and one that cannot but may stand still while the tablet sleeps. The
  // longer of the two is the time that passed.
  const mark = () => ({ set: Date.now(), mono: performance.now() });
  const since = ({ set, mono }) => Math.max(Date.now() - set, performance.now() - mono, 0);
  const came = performance.getEntriesByType("navigation")[0]?.responseStart || performance.now();
  let base = root.dataset.now ? Date.parse(root.dataset.now) : Date.now();
  let then = { set: performance.timeOrigin + came, mono: came };
  const now = () => base + since(then);

  const correct = (header) => {
    const server = Date.parse(header ?? "");
    if (!server) return;
    // The header is cut to the second: only a real difference moves the clock.
    base = Math.abs(server + 500 - now()) > 2500 ? server + 500 : now();
    then = mark();
  };

  // After sleep, or when somebody set this tablet's clock, the two clocks disagree: the
  // server is asked, by the head of a file that is no page and keeps no login alive.
  let apart = 0;
  let asking = null;
  const agree = () => {
    const difference = Date.now() - then.set - (performance.now() - then.mono);
    if (Math.abs(difference - apart) < 1500) return asking;
    apart = difference;
    const how = { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(5000) };
    asking = fetch($("link[rel=icon]").href, how).then((answer) => {
      correct(answer.headers.get("Date"));
      apart = 0;
      document.body.dispatchEvent(new Event("visit-due")); // what it shows is old too
      tick();
    }, () => { /* no line: the longer time stands until there is one */ });
    return asking;
  };

  let wall = null;
  try {
    wall = new Intl.DateTimeFormat("en-GB", {
      timeZone: root.dataset.zone || "UTC",
      hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    });
  } catch { /* a zone this browser does not know: the server's words stay */ }
  const hms = (ms) => (wall ? wall.format(ms) : "");

  // Rounded as the filters due_min and due_clock do: begun ahead, full when passed.
  const count = (node, ms) => {
    const due = Date.parse(node.dataset.due ?? node.dataset.since);
    const ahead = node.dataset.due ? due - ms : ms - due;
    const unit = node.dataset.count === "clock" ? 1000 : 60000;
    const left = node.dataset.due && ahead > 0
      ? Math.ceil(ahead / unit) : Math.floor(Math.abs(ahead) / unit);
    const text = unit === 1000
      ? `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : String(left);
    return node.dataset.due && ahead <= 0 && left ? `+${text}` : text;
  };
  const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };

  /* ---- A screen that stops hearing says so ----------------------------------------- */

  let heard = { at: now(), ...mark() };
  const live = () => $("[data-live]");

  const watch = () => {
    const region = live();
    if (!region) return;
    const stale = since(heard) > 1000 * (Number(region.dataset.live) || 30);
    const changed = stale !== root.hasAttribute("data-stale");
    root.toggleAttribute("data-stale", stale);
    const last = hms(heard.at);
    for (const node of $$("[data-updated]")) {
      write(node, `${stale ? words().stale : words().updated} ${last}`);
    }
    // Said once aloud, when it starts and when it ends; never every second.
    if (changed) say(stale ? `${words().stale} ${last}` : words().liveAgain);
  };

  const say = (text) => {
    const status = $("#messages");
    if (!status) return;
    $(".spoken", status)?.remove();
    const line = document.createElement("p");
    line.className = "sr spoken";
    line.textContent = text;
    status.append(line);
  };

  const tick = () => {
    agree();
    const ms = now();
    watch();
    const stale = root.hasAttribute("data-stale");
    const text = hms(ms);
    if (text) $$("[data-clock]").forEach((node) => write(node, text));
    for (const node of $$(":is([data-due], [data-since]):not([data-still] *)")) {
      write(node, stale && node.closest("[data-live]") ? "?" : count(node, ms));
    }
  };
  setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
  // Every part of an answer settles by itself: what looks at the page does so once.
  let settling = false;
  document.addEventListener("htmx:afterSettle", () => {
    if (settling) return;
    settling = true;
    queueMicrotask(() => { settling = false; document.dispatchEvent(new Event("clinic:settled")); });
  });
  document.addEventListener("clinic:settled", tick);
  // A page taken from the browser's memory shows old values: fetch it anew.
  addEventListener("pageshow", (event) => (event.persisted ? location.reload() : tick()));

  // While a finger is on the board, or keys walk over it, nothing there moves to another
  // patient. What moved just before a press was not yet seen: that press counts for nothing.
  let held = 0;
  let moved = -500;
  let blind = false;
  const shape = (region) => $$("a, button", region)
    .map((each) => each.id || each.getAttribute("href") || each.textContent.trim()).join();
  document.addEventListener("pointerdown", (event) => {
    const region = event.target.closest("[data-live]");
    blind = Boolean(region) && performance.now() - moved < 500;
    if (region) held = performance.now() + 60000;
  });
  document.addEventListener("keydown", (event) => {
    blind = false;
    if (event.target.closest?.("[data-live]")) held = Math.max(held, performance.now() + 3000);
  });
  document.addEventListener("click", (event) => {
    if (!blind || !event.target.closest("[data-live]")) return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => { if (held) held = performance.now() + 400; });
  }

  /* ---- In flight: one press, one request ------------------------------------------- */

  const flights = new Map(); // form or element -> how to undo its "Saving …"

  const busy = (key, button, reading) => {
    const kept = button && [...button.childNodes];
    if (button) {
      button.style.minInlineSize = `${button.offsetWidth}px`; // nothing else moves
      button.replaceChildren(button.dataset.busy || (reading ? words().loading : words().saving));
      button.disabled = true;
    }
    flights.set(key, () => {
      flights.delete(key);
      if (!button) return;
      button.replaceChildren(...kept);
      button.disabled = false;
      button.style.minInlineSize = "";
    });
  };
  const owner = (element) => element.closest("form") ?? element;
  let last = null; // the press to repeat from the bar: element, submitter, what failed

  // Asked before htmx would put a second press into its queue and send it afterwards.
  // Only presses that write: a form that refreshes itself on a change is left to htmx.
  const writes = (verb, press) => verb !== "get" && /^(submit|click)$/.test(press?.type);
  document.addEventListener("htmx:confirm", (event) => {
    const { elt, verb, triggeringEvent } = event.detail;
    if (writes(verb, triggeringEvent) && flights.has(owner(elt))) event.preventDefault();
  });
  // What the answer must know is kept with the request: a swap may remove the element.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt, xhr, requestConfig: { verb, triggeringEvent: press } } = event.detail;
    const button = press?.submitter ?? (elt.matches("button") ? elt : null);
    const wrote = writes(verb, press);
    xhr.clinic = {
      elt, button, wrote, live: elt.matches("[data-live]"), key: wrote ? owner(elt) : elt,
      // Asked now: a button that is disabled while its request flies loses the focus.
      inside: event.detail.target?.contains(document.activeElement),
    };
    if (wrote || button) busy(xhr.clinic.key, button, verb === "get");
    if (!wrote) return;
    // Two presses in one region, the second before the first was answered: the first
    // answer takes the second one's place away, and htmx shows nothing more for it. It
    // was done all the same: the page is read anew, or says that it was not saved.
    let gone = false;
    xhr.addEventListener("readystatechange", () => { gone ||= !elt.isConnected; });
    xhr.addEventListener("loadend", () => {
      if (!gone) return;
      flights.delete(xhr.clinic.key);
      if (xhr.status >= 200 && xhr.status < 300) location.reload();
      else notSaved(event, xhr.status);
    });
  });

  // Plain forms, without htmx: the second press is refused, the first one goes out.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.matches("[hx-post], [hx-get], [data-downloads]")) return;
    const press = event.submitter;
    if (press?.matches("[hx-post], [hx-get]")) return;
    if (flights.has(form)) { event.preventDefault(); return; }
    delete form.dataset.dirty;
    flights.set(form, () => flights.delete(form));
    // After the values were gathered: a disabled button would not send its own.
    setTimeout(() => { if (form.method === "post") busy(form, press, false); });
  });

  /* ---- Not saved -------------------------------------------------------------------- */

  const bar = () => $("#not-saved");
  const notice = "[data-notice], .notsaved";

  const notSaved = (event, code) => {
    const { elt, xhr, requestConfig } = event.detail;
    // It may wait for the line, or for the password (offline.js, lock.js).
    const unsent = { cancelable: true, detail: { ...event.detail, code } };
    if (!document.dispatchEvent(new CustomEvent("clinic:unsent", unsent))) return;
    if (elt.matches("[data-live]")) return; // the watch above speaks for it
    const reading = requestConfig?.verb === "get";
    const box = bar();
    if (!box) return;
    last = { ...(xhr?.clinic ?? { elt, button: null }), code };
    // The answer may carry a sentence of its own.
    const answer = xhr?.responseText
      ? $(notice, new DOMParser().parseFromString(xhr.responseText, "text/html")) : null;
    const word = words();
    const why = word[`e${code}`] ?? (code >= 500 ? word.e500 : `${word.e500} (${code})`);
    const line = $("p", box);
    const strong = document.createElement("b");
    strong.textContent = reading ? word.notLoaded : word.notSaved;
    if (answer) {
      line.replaceChildren(...[...answer.childNodes].map((n) => document.importNode(n, true)));
      if (!line.textContent.trim().startsWith(strong.textContent)) line.prepend(strong, ": ");
    } else {
      line.replaceChildren(strong, `: ${why} ${reading ? "" : word.kept}`);
    }
    $("a", box).hidden = code !== 401 && code !== 403;
    $("[data-again]", box).hidden = code === 409 || code === 404;
    $("[data-anew]", box).hidden = code !== 409;
    $$("[popover]:popover-open").forEach((open) => open.hidePopover());
    box.hidden = false;
    box.style.insetBlockStart = `${$(".banner")?.offsetHeight ?? 0}px`; // under the patient
    box.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("htmx:responseError", (event) => notSaved(event, event.detail.xhr.status));
  document.addEventListener("htmx:sendError", (event) => notSaved(event, 0));
  document.addEventListener("htmx:timeout", (event) => notSaved(event, "timeout"));

  // Somebody else was faster: the page is drawn anew around what was typed. The typing
  // is put back into its form; a field that holds another value now says so beside it.
  const anew = async () => {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    const text = (await answer.text()).replace(/\sautofocus(?=[\s=>/])/g, "");
    const page = new DOMParser().parseFromString(text, "text/html");
    if (!answer.ok || page.body.dataset.user !== document.body.dataset.user) return;
    const mine = $$("form[data-dirty]").map((form) => [
      form.id, form.getAttribute("action"), [...new FormData(form)],
    ]);
    const banner = $(".banner", page);
    if (banner) $(".banner")?.replaceWith(document.importNode(banner, true));
    window.htmx.swap("#main", text, { swapStyle: "outerHTML" }, { select: "#main" });
    for (const [id, action, values] of mine) {
      const form = $$("form").find((each) => (id ? each.id === id : each.getAttribute("action") === action));
      if (!form) continue;
      form.dataset.dirty = "";
      form.closest("details")?.setAttribute("open", "");
      $$("[type=checkbox]", form).forEach((box) => { box.checked = false; });
      for (const [name, value] of values) putBack(form, name, value);
    }
    $("[data-anew]").hidden = true;
    tick();
  };
  const putBack = (form, name, value) => {
    for (const field of form.querySelectorAll(`[name="${CSS.escape(name)}"]`)) {
      if (/^(hidden|password|file|submit)$/.test(field.type)) continue;
      if (/^(radio|checkbox)$/.test(field.type)) { field.checked ||= field.value === value; continue; }
      const before = field.selectedOptions?.[0]?.textContent ?? field.value;
      if (field.value === value) continue;
      field.value = value;
      if (!before) continue;
      const line = document.createElement("span");
      line.className = "is-now small";
      line.textContent = `${words().isNow} ${before}`;
      field.after(line);
    }
  };

  document.addEventListener("click", async (event) => {
    const box = event.target.closest("#not-saved");
    if (!box) return;
    if (event.target.closest("[data-dismiss]")) { box.hidden = true; return; }
    if (event.target.closest("[data-anew]")) { anew().catch(() => {}); return; }
    if (!event.target.closest("[data-again]") || !last) return;
    const { elt, button, code } = last;
    if (!elt.isConnected) { box.hidden = true; return; }
    if (code === 401 || code === 403) {
      try { if (!(await window.clinic.sameUser())) return; } catch { return; }
    }
    // By its own button, so that the button's name and value travel with it again.
    if (button?.isConnected) button.click();
    else if (elt.matches("form")) elt.requestSubmit();
    else elt.click();
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    const { xhr, successful } = event.detail;
    if (!xhr?.clinic) return;
    const { elt, key, live, wrote } = xhr.clinic;
    flights.get(key)?.();
    if (!xhr.status) return;
    correct(xhr.getResponseHeader("Date"));
    if (live) {
      if (xhr.status === 200 || xhr.status === 204) { heard = { at: now(), ...mark() }; tick(); }
      return;
    }
    if (!successful || !wrote) return; // a question (422) is swapped: it was answered
    const box = bar();
    if (box) box.hidden = true;
    if (xhr.status === 422) return;
    delete key.dataset.dirty;
    elt.closest("[popover]:popover-open")?.hidePopover();
  });

  /* ---- Focus ------------------------------------------------------------------------ */

  // Polling never takes the focus; an answer takes it only when the press came from the
  // nurse, and never lets it fall to the top of the page.
  let before = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const polled = event.detail.xhr.clinic?.live;
    if (polled && held > performance.now()) { event.detail.shouldSwap = false; return; }
    if (polled) { // htmx would follow it, and leaving a field is a change to that field
      event.detail.serverResponse = event.detail.serverResponse.replace(/\sautofocus(?=[\s=>/])/g, "");
    }
    const target = event.detail.target;
    const active = document.activeElement;
    const inside = active === document.body ? event.detail.xhr.clinic?.inside : target?.contains(active);
    before = { polled, active, inside, id: target?.id, shape: polled && shape(target) };
  });
  // Down the list before Start: what is done leads into the box of what comes next. Only
  // into a box: a second Enter must never press a button that attests something.
  const onward = (done) => {
    const items = $$(".pre");
    return items.slice(items.indexOf(done)).filter((item) => item.hasAttribute("data-do"))
      .map((item) => $("input.box, input[type=radio], button:not([disabled])", item)).find(Boolean);
  };
  document.addEventListener("htmx:afterSettle", (event) => {
    const target = event.detail.elt;
    if (!(target instanceof Element)) return;
    // Typing that came back with a question is still typing that was not saved.
    if (event.detail.xhr?.status === 422) {
      [target.closest("form"), ...$$("form", target)].forEach((form) => {
        if (guarded(form)) form.dataset.dirty = "";
      });
    }
    // Parts swapped beside the target settle first; they take no focus.
    if (!before || (before.id && document.getElementById(before.id) && target.id !== before.id)) return;
    const { polled, active, inside, shape: was } = before;
    before = null;
    if (polled) {
      if (shape(target) !== was) moved = performance.now();
      const same = active?.isConnected ? active : active?.id && document.getElementById(active.id);
      if (same && same !== document.activeElement) same.focus({ preventScroll: true });
    } else if (inside && document.activeElement === document.body && target.isConnected) {
      const box = target.matches(".pre") && onward(target);
      if (box?.matches?.("input.box")) { box.focus(); return; }
      if (!target.hasAttribute("tabindex")) target.tabIndex = -1;
      target.focus({ preventScroll: true });
    }
  });

  // A link of the summary of errors leads into its field, not only to it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".errors a, .blocks a");
    const field = link?.hash && document.getElementById(link.hash.slice(1));
    if (!field) return;
    const inner = field.matches("input, select, textarea, button") ? field
      : $("input:not([type=hidden]), select, textarea, button:not([disabled])", field);
    if (inner) setTimeout(() => inner.focus());
  });

  /* ---- Fields ----------------------------------------------------------------------- */

  const boxes = (form) => $$("input.box", form).filter((box) => !box.disabled && box.checkVisibility());
  const next = (box) => {
    const all = box.form ? boxes(box.form) : [];
    return all[all.indexOf(box) + 1];
  };
  const enter = (box) => { box.focus(); box.select(); };

  document.addEventListener("keydown", (event) => {
    const box = event.target;
    if (event.key !== "Enter" || event.isComposing || !box.matches?.("input.box")) return;
    if (box.dataset.enter === "submit") return;
    const following = next(box);
    if (following) { event.preventDefault(); enter(following); }
  });

  // Complete: no further digit can follow without passing the field's greatest value,
  // or it has all the decimals the field takes.
  const complete = (box) => {
    const text = box.value.trim();
    if (box.dataset.whole) return new RegExp(`^(?:${box.dataset.whole})$`, "u").test(text);
    const match = /^\d+(?:\.(\d*))?$/.exec(text);
    if (!match || !box.dataset.max) return false;
    const places = Number(box.dataset.places || 0);
    if (places) return (match[1] ?? "").length >= places;
    return Number(`${text}0`) > Number(box.dataset.max);
  };
  document.addEventListener("input", (event) => {
    const field = event.target;
    const form = field.form;
    if (guarded(form)) form.dataset.dirty = "";
    if (!form?.hasAttribute("data-auto-advance") || !field.matches("input.box")) return;
    if (event.inputType?.startsWith("insert") && complete(field)) {
      const following = next(field);
      if (following) enter(following);
      else if (field.dataset.enter === "submit") form.requestSubmit();
    }
  });

  // A chosen chip, tapped again or with the space bar, is cleared; htmx hears a change.
  let chosen = null;
  const clearable = (target) => {
    const radio = target.closest?.("label")?.control ?? target;
    return radio.matches?.("input[type=radio]") && radio.checked
      && radio.closest(".chip, [data-clearable]") ? radio : null;
  };
  const clear = (radio) => {
    chosen = null;
    radio.checked = false;
    radio.dispatchEvent(new Event("change", { bubbles: true }));
  };
  document.addEventListener("pointerdown", (event) => { chosen = clearable(event.target); });
  document.addEventListener("click", (event) => {
    if (chosen && event.target === chosen) clear(chosen);
  });
  document.addEventListener("keydown", (event) => {
    const radio = event.key === " " && clearable(event.target);
    if (radio) { event.preventDefault(); clear(radio); }
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-print]")) print();
  });

  /* ---- Typing that was not sent ------------------------------------------------------ */

  const guarded = (form) => form instanceof HTMLFormElement && !form.hasAttribute("data-no-guard")
    && (form.method === "post" || form.hasAttribute("hx-post"));
  addEventListener("beforeunload", (event) => {
    if ($("form[data-dirty]")) event.preventDefault();
  });

  // The list before Start, drawn anew: the cursor stands where the next act is.
  const list = $(".pre");
  const box = list && document.activeElement === document.body && onward(list);
  if (box?.matches?.("input.box")) box.focus();

  window.clinic = { $, $$, now, agree, say, words, hms, correct };
  tick();
})();
