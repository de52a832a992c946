/* The lock over a page that nobody used: the same person goes on with the typing as it
   was left, another one gets an empty page under their own name. The server decides
   who is signed in; this only covers the page and asks for the password.

     dialog #lock  data-idle="15"   minutes without use until the page locks itself
     any    data-lock               locks now */
(() => {
  "use strict";
  const { clinic } = window;
  const { $, $$, now } = clinic;
  const box = $("#lock");
  const root = document.documentElement;
  const me = document.body.dataset.user;
  const parsed = async (answer) => new DOMParser().parseFromString(await answer.text(), "text/html");
  const home = $("#lock form")?.dataset.home;
  const tokenOf = (page) => $("[name=csrfmiddlewaretoken]", page)?.value;
  const ask = (address, body) => fetch(address, body && { method: "POST", body });

  // Another person gets an empty page; what was pressed and waits is not theirs to lose.
  const leave = () => {
    $$("[data-dirty]").forEach((form) => delete form.dataset.dirty);
    clinic.waiting?.splice(0);
    location.reload();
  };
  // Whose page would this be now? Mine: the fresh form token goes into every form.
  const take = (page) => {
    const who = page.body.dataset.user;
    if (!who) { if (box) lock(); return false; }
    if (who !== me) {
      if (!clinic.waiting?.length) { leave(); return false; }
      lock();
      say($("[data-others]", box).textContent);
      $("[data-lose]", box).hidden = false;
      return false;
    }
    const token = tokenOf(page);
    $$("[name=csrfmiddlewaretoken]").forEach((field) => { field.value = token; });
    delete root.dataset.locked;
    document.dispatchEvent(new CustomEvent("clinic:unlocked", { detail: token }));
    return true;
  };
  clinic.sameUser = async () => take(await parsed(await ask(home ?? location.href)));
  if (!box) return;

  const form = $("form", box);
  const says = $("[role=alert]", box);
  const say = (text) => { says.textContent = text; };
  const locked = () => "locked" in root.dataset;

  // By the server's time. Where this tablet's clocks disagree, after sleep or because one
  // was set, it is asked first; without a line the longer time stands, and the page locks.
  let used = now();
  let asked = used; // when the server last heard of a use of this page
  const over = (moment) => now() - moment > 60000 * box.dataset.idle;
  const idle = () => over(used);
  const watch = async () => {
    used = Math.min(used, now()); // what was set ahead may have been set back since
    if (!idle()) return;
    await clinic.agree();
    if (idle()) lock(true);
  };
  // What is used in one tab is used in all; nothing is stored.
  const tabs = new BroadcastChannel("used");
  tabs.onmessage = () => { if (!idle()) used = now(); };
  const touch = () => {
    if (locked()) return;
    if (idle()) { watch(); return; }
    if (now() - used > 5000) tabs.postMessage(0);
    used = now();
  };
  for (const kind of ["pointerdown", "keydown", "input", "wheel"]) {
    addEventListener(kind, touch, { capture: true, passive: true });
  }
  setInterval(watch, 5000);
  addEventListener("focus", watch);
  document.addEventListener("visibilitychange", () => {
    watch();
    // The second step of signing in may have been done in another tab.
    if (locked() && !document.hidden && !$("[data-step]", box).hidden) clinic.sameUser().then(open);
  });

  // Ends the login too: nobody opens another tab under this name.
  const lock = (ends) => {
    if (locked()) return;
    root.dataset.locked = "";
    $("[data-chair]", box).textContent = $(".banner .chair")?.textContent ?? "";
    say("");
    box.showModal();
    form.elements.password.focus();
    if (ends) {
      const body = new URLSearchParams({ csrfmiddlewaretoken: tokenOf(document) });
      fetch(box.dataset.out, { method: "POST", body, redirect: "manual" }).catch(() => {});
    }
  };
  const open = (mine) => {
    if (!mine) return;
    used = asked = now();
    delete root.dataset.locked;
    form.reset();
    box.close();
    for (const part of $$("[data-lose], [data-step]", box)) part.hidden = true;
  };
  clinic.lock = lock;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    event.stopPropagation();
    const button = $("[type=submit]", form);
    button.disabled = true;
    say("");
    try {
      const body = new URLSearchParams(new FormData(form));
      let answer = await ask(form.action, body);
      if (answer.status === 403) { // somebody signed in elsewhere in this browser
        body.set("csrfmiddlewaretoken", tokenOf(await parsed(await ask(home))));
        answer = await ask(form.action, body);
      }
      const page = await parsed(answer);
      if (page.body.dataset.user) open(take(page));
      else if (answer.redirected) {
        $("[data-step]", box).hidden = false;
        $("[data-step]", box).focus();
      } else say($(".errors, .notsaved", page)?.textContent.trim() ?? clinic.words().e500);
    } catch {
      say(clinic.words().e0);
    }
    form.elements.password.value = "";
    button.disabled = false;
    if (locked() && $("[data-step]", box).hidden) form.elements.password.focus();
  });
  $("[data-lose]", box).addEventListener("click", leave);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-lock]")) return;
    event.preventDefault();
    lock(true);
  });
  // Long typing may outlast the login. A plain form would then be answered by a page, and
  // its typing be gone: whether the login still stands is asked before it is sent.
  document.addEventListener("submit", (event) => {
    const { target, submitter } = event;
    if (target.method !== "post" || target.matches("[hx-post]") || target === form || !over(asked - 60000)) return;
    event.preventDefault();
    event.stopPropagation();
    clinic.sameUser().then((mine) => {
      if (!mine) return;
      asked = now();
      target.requestSubmit(submitter);
    }, () => target.requestSubmit(submitter));
  }, true);
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful && event.detail.xhr.clinic?.wrote) asked = now();
  });
  box.addEventListener("cancel", (event) => event.preventDefault());
  box.addEventListener("close", () => { if (locked()) box.showModal(); });
  // Under the lock the page asks for nothing.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (locked()) event.preventDefault();
  });
  document.addEventListener("clinic:unsent", (event) => {
    if (event.detail.code !== 401) return;
    lock();
    if (!event.detail.xhr?.clinic?.wrote) event.preventDefault();
  });
})();
