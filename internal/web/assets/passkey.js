// Passkeys on Writ's pages. A form with data-passkey stands hidden until this file finds
// that the browser can do what it asks; every page works without it. The script only asks
// the server for a question and the browser for an answer, and lays both into the form,
// which is then sent as any other.
"use strict";
(() => {
  const able = window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON && PublicKeyCredential.parseCreationOptionsFromJSON && PublicKeyCredential.prototype.toJSON;
  const forms = [...document.querySelectorAll("form[data-passkey]")];
  if (!able) {
    for (const f of forms) f.remove();
    for (const e of document.querySelectorAll("[data-without-passkey]")) e.hidden = false;
    return;
  }

  // One question at a time: a browser refuses a second beside the one that waits.
  let waiting = null;
  const stop = () => { if (waiting) waiting.abort(); waiting = null; };

  async function question(form) {
    const body = form.dataset.flow ? { flow: form.dataset.flow } : {};
    const r = await fetch(form.dataset.options, { method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" }, body: JSON.stringify(body) });
    const got = await r.json();
    if (!r.ok) throw new Error([got.detail, got.next].filter(Boolean).join(" "));
    return got;
  }

  async function answer(form, asked, how) {
    stop();
    const mine = waiting = new AbortController();
    const signal = mine.signal;
    try {
      const made = form.dataset.passkey === "create"
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked.options), signal })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked.options), signal, ...how });
      form.elements.flow.value = asked.flow;
      form.elements.credential.value = JSON.stringify(made.toJSON());
      form.submit();
    } finally {
      if (waiting === mine) waiting = null;
    }
  }

  // What went wrong, in words; "" where nobody needs to read it.
  function words(form, e) {
    const create = form.dataset.passkey === "create";
    switch (e.name) {
      case "AbortError": return "";
      case "InvalidStateError": return create ? "This device has a passkey for your account already. Use another device." : "The device could not answer. Try again.";
      case "NotAllowedError": return create ? "No passkey was made. Try again, or choose another device." : "No passkey was used. Try again, or go on another way.";
      case "SecurityError": return "The browser refuses passkeys at this address. Open the site by its usual name.";
      case "TypeError": return "The server cannot be reached. Try again in a moment.";
      case "Error": return e.message;
    }
    return "This device cannot do what is needed: it must keep the passkey and verify who you are. Use another device.";
  }

  function say(form, text) {
    const at = form.querySelector("[data-says]");
    at.textContent = text;
    at.hidden = !text;
  }

  for (const form of forms) {
    form.hidden = false;
    form.addEventListener("submit", async (e) => {
      e.preventDefault();
      const button = form.querySelector("button");
      button.disabled = true;
      say(form, "");
      try {
        await answer(form, await question(form));
      } catch (e) {
        say(form, words(form, e));
        wait();
      } finally {
        button.disabled = false;
      }
    });
  }

  // A browser that can offers passkeys where the address is typed. The question is asked
  // anew before its time is over, so that a page left open still works.
  const quiet = forms.find((f) => f.dataset.conditional !== undefined);
  async function wait() {
    if (!quiet || waiting || !PublicKeyCredential.isConditionalMediationAvailable || !await PublicKeyCredential.isConditionalMediationAvailable()) return;
    const renew = setTimeout(() => { stop(); wait(); }, 240000);
    try {
      const asked = await question(quiet);
      if (!waiting) await answer(quiet, asked, { mediation: "conditional" });
    } catch {
      // Nobody asked for it, so nobody is told.
    } finally {
      clearTimeout(renew);
    }
  }
  wait();
})();
