/* Passkeys: hands the server's question to the browser, and its answer to the form.
   Loaded only where a passkey is made or used. A form says which with
     data-passkey="create|get"   data-options='…'   (WebAuthn's own JSON)
   and has a hidden field `credential`, a button [data-passkey-go] and a place for words
   [data-passkey-says]. Bytes travel as base64url. Nothing is stored. */
(() => {
  "use strict";
  const bytes = (text) => Uint8Array.from(
    atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const words = (buffer) => buffer && btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const known = (list) => (list ?? []).map((each) => ({ ...each, id: bytes(each.id) }));

  const question = (form) => {
    const options = JSON.parse(form.dataset.options);
    options.challenge = bytes(options.challenge);
    if (options.user) options.user.id = bytes(options.user.id);
    if (options.excludeCredentials) options.excludeCredentials = known(options.excludeCredentials);
    if (options.allowCredentials) options.allowCredentials = known(options.allowCredentials);
    return { publicKey: options };
  };
  const answer = (made) => JSON.stringify({
    id: made.id,
    rawId: words(made.rawId),
    type: made.type,
    clientExtensionResults: made.getClientExtensionResults(),
    response: Object.fromEntries(
      ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]
        .filter((name) => made.response[name])
        .map((name) => [name, words(made.response[name])])),
  });

  const WHY = {
    NotAllowedError: "Nothing was confirmed. Press the button again.",
    InvalidStateError: "This device is added already.",
    SecurityError: "Passkeys work over https, or at the name localhost, not here.",
  };
  document.querySelectorAll("form[data-passkey]").forEach((form) => {
    const button = form.querySelector("[data-passkey-go]");
    const says = form.querySelector("[data-passkey-says]");
    const say = (text) => { says.textContent = text; says.hidden = !text; };
    button.disabled = false;
    if (!globalThis.PublicKeyCredential) {
      button.disabled = true;
      say("This browser, or this address, has no passkeys: they need https, or the name localhost.");
      return;
    }
    button.addEventListener("click", async () => {
      if (!form.reportValidity()) return;
      say("");
      button.disabled = true;
      try {
        form.elements.credential.value = answer(
          await navigator.credentials[form.dataset.passkey](question(form)));
        form.requestSubmit();
      } catch (error) {
        button.disabled = false;
        say(WHY[error.name] ?? "The passkey did not work. Try again, or use another way.");
      }
    });
  });
})();
