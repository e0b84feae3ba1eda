// Holders of shares: giving one, and enrolling a passkey for it. A share is opened in this
// browser and leaves it sealed to the key of the gathering; no page shows it. The sealing is
// HPKE (RFC 9180) in base mode: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM.
"use strict";
(() => {
  const subtle = window.crypto && crypto.subtle;
  const text = new TextEncoder();
  const join = (...parts) => {
    const all = parts.map((p) => typeof p === "string" ? text.encode(p) : new Uint8Array(p));
    const out = new Uint8Array(all.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of all) { out.set(p, at); at += p.length; }
    return out;
  };
  const from64 = (s) => Uint8Array.from(atob(s), (c) => c.charCodeAt(0));
  const to64 = (b) => btoa(String.fromCharCode(...new Uint8Array(b)));

  // HKDF of RFC 5869, in its two steps.
  async function mac(key, data) {
    const k = await subtle.importKey("raw", key.length ? key : new Uint8Array(32), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return new Uint8Array(await subtle.sign("HMAC", k, data));
  }
  async function expand(prk, info, n) {
    let out = new Uint8Array(0), last = out;
    for (let i = 1; out.length < n; i++) {
      last = await mac(prk, join(last, info, [i]));
      out = join(out, last);
    }
    return out.slice(0, n);
  }
  const two = (n) => new Uint8Array([n >> 8, n & 255]);
  const kemSuite = join("KEM", two(0x0010)), suite = join("HPKE", two(0x0010), two(0x0001), two(0x0002));
  const extractLabelled = (s, salt, label, ikm) => mac(salt, join("HPKE-v1", s, label, ikm));
  const expandLabelled = (s, prk, label, info, n) => expand(prk, join(two(n), "HPKE-v1", s, label, info), n);

  async function shared(dh, enc, recipient) {
    const prk = await extractLabelled(kemSuite, new Uint8Array(0), "eae_prk", dh);
    return expandLabelled(kemSuite, prk, "shared_secret", join(enc, recipient), 32);
  }
  async function schedule(secret, info) {
    const none = new Uint8Array(0);
    const context = join([0], await extractLabelled(suite, none, "psk_id_hash", none), await extractLabelled(suite, none, "info_hash", info));
    const prk = await extractLabelled(suite, secret, "secret", none);
    const key = await subtle.importKey("raw", await expandLabelled(suite, prk, "key", context, 32), "AES-GCM", false, ["encrypt", "decrypt"]);
    return { key, iv: await expandLabelled(suite, prk, "base_nonce", context, 12) };
  }
  const curve = { name: "ECDH", namedCurve: "P-256" };
  const point = (raw) => subtle.importKey("raw", raw, curve, true, []);
  const agree = async (half, pub) => new Uint8Array(await subtle.deriveBits({ name: "ECDH", public: pub }, half, 256));

  async function sealTo(raw, info, plain) {
    const e = await subtle.generateKey(curve, true, ["deriveBits"]);
    const enc = new Uint8Array(await subtle.exportKey("raw", e.publicKey));
    const { key, iv } = await schedule(await shared(await agree(e.privateKey, await point(raw)), enc, raw), info);
    return join(enc, await subtle.encrypt({ name: "AES-GCM", iv }, key, plain));
  }
  async function openWith(half, raw, info, box) {
    const enc = box.slice(0, 65);
    const { key, iv } = await schedule(await shared(await agree(half, await point(enc)), enc, raw), info);
    return new Uint8Array(await subtle.decrypt({ name: "AES-GCM", iv }, key, box.slice(65)));
  }

  // What a passkey's PRF gives is the key that wraps the private half.
  async function wrapping(prf) {
    const base = await subtle.importKey("raw", prf, "HKDF", false, ["deriveKey"]);
    return subtle.deriveKey({ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: text.encode("writ/seal/holder/1") }, base, { name: "AES-GCM", length: 256 }, false, ["wrapKey", "unwrapKey"]);
  }

  async function call(path, body) {
    const r = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json", Accept: "application/json" }, body: JSON.stringify(body) });
    const got = await r.json();
    if (!r.ok) throw new Error([got.detail, got.next].filter(Boolean).join(" "));
    return got;
  }
  function asked(options) {
    const prf = options.extensions && options.extensions.prf, bytes = (v) => ({ first: from64(v.first.replace(/-/g, "+").replace(/_/g, "/")) });
    const publicKey = options.attestation || options.user ? PublicKeyCredential.parseCreationOptionsFromJSON({ ...options, extensions: undefined }) : PublicKeyCredential.parseRequestOptionsFromJSON({ ...options, extensions: undefined });
    const eval_ = {};
    if (prf && prf.eval) eval_.eval = bytes(prf.eval);
    if (prf && prf.evalByCredential) {
      eval_.evalByCredential = {};
      for (const [id, v] of Object.entries(prf.evalByCredential)) eval_.evalByCredential[id] = bytes(v);
    }
    publicKey.extensions = { prf: eval_ };
    return { publicKey };
  }
  // What the server judges: never what the PRF gave.
  function answer(made) {
    const out = made.toJSON();
    out.clientExtensionResults = {};
    return out;
  }
  const result = (made) => {
    const prf = made.getClientExtensionResults().prf;
    return prf && prf.results && prf.results.first ? new Uint8Array(prf.results.first) : null;
  };
  const cannot = () => { throw new Error("This passkey cannot keep a key for this: it has no PRF. Use another device, or a key file."); };

  async function give() {
    const { options } = await call("/-/api/v1/unseal/question", {});
    const made = await navigator.credentials.get(asked(options));
    const prf = result(made) || cannot();
    const got = await call("/-/api/v1/unseal/proof", { credential: answer(made) });
    const wrapped = from64(got.wrapped);
    const half = await subtle.unwrapKey("pkcs8", wrapped.slice(12), await wrapping(prf), { name: "AES-GCM", iv: wrapped.slice(0, 12) }, curve, false, ["deriveBits"]);
    const share = await openWith(half, from64(got.public), join("writ/seal/share/1\0", got.state.set, "\0", got.holder), from64(got.box));
    const box = await sealTo(from64(got.state.key), join("writ/seal/offer/1\0", got.state.sum, "\0", got.holder), share);
    share.fill(0);
    prf.fill(0);
    const now = await call("/-/api/v1/unseal", { set: got.state.set, holder: got.holder, box: to64(box) });
    if (opens(now)) return starts();
    location.reload();
  }

  async function enrol(form) {
    const { options, salt } = await call(form.dataset.enrol, {});
    const made = await navigator.credentials.create(asked(options));
    let prf = result(made);
    if (!prf) { // most devices give it only to a question
      const again = await navigator.credentials.get({ publicKey: { challenge: crypto.getRandomValues(new Uint8Array(32)), userVerification: "required",
        allowCredentials: [{ type: "public-key", id: made.rawId }], extensions: { prf: { eval: { first: from64(salt) } } } } });
      prf = result(again) || cannot();
    }
    const pair = await subtle.generateKey(curve, true, ["deriveBits"]);
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const wrapped = join(iv, await subtle.wrapKey("pkcs8", pair.privateKey, await wrapping(prf), { name: "AES-GCM", iv }));
    prf.fill(0);
    form.elements.credential.value = JSON.stringify(answer(made));
    form.elements.public.value = to64(await subtle.exportKey("raw", pair.publicKey));
    form.elements.wrapped.value = to64(wrapped);
    form.submit();
  }

  // Between the last share and the start nobody answers: the page waits for who does then.
  const opens = (now) => now.phase === "open" && now.act === "open";
  function starts() {
    document.querySelector("h1").textContent = "The vault opens";
    document.querySelector(".lead").textContent = "Enough shares were given. The server starts; this takes a few seconds.";
    for (let e = document.querySelector(".lead").nextElementSibling; e; e = e.nextElementSibling) e.hidden = true;
  }

  function words(e) {
    switch (e.name) {
      case "NotAllowedError": return "No passkey was used. Try again.";
      case "InvalidStateError": return "This device has a passkey for this already.";
      case "SecurityError": return "The browser refuses passkeys at this address. Open the site by its usual name.";
      case "TypeError": return "The server cannot be reached. Try again in a moment.";
      case "Error": return e.message;
    }
    return "This device could not open your share. Use the device on which you enrolled.";
  }

  const here = document.querySelector("[data-seal]");
  const able = subtle && window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON && PublicKeyCredential.prototype.toJSON;
  let busy = false;
  for (const form of document.querySelectorAll("form[data-unseal], form[data-enrol]")) {
    if (!able) {
      for (const e of document.querySelectorAll("[data-without-passkey]")) e.hidden = false;
      continue;
    }
    form.hidden = false;
    form.addEventListener("submit", async (e) => {
      e.preventDefault();
      const button = form.querySelector("button"), says = form.querySelector("[data-says]");
      button.disabled = busy = true;
      says.hidden = true;
      try {
        await (form.dataset.enrol === undefined ? give() : enrol(form));
      } catch (e) {
        says.textContent = words(e);
        says.hidden = false;
      } finally {
        button.disabled = busy = false;
      }
    });
  }

  // The page follows what the other holders do, and leads on when the vault is open.
  if (!here) return;
  setInterval(async () => {
    if (busy || document.hidden) return;
    try {
      const r = await fetch("/-/api/v1/unseal", { headers: { Accept: "application/json" } });
      if (!r.ok) return;
      const now = await r.json();
      if (opens(now)) starts();
      else if (now.phase !== here.dataset.seal || String(now.given) !== here.dataset.given) location.reload();
    } catch {
      // It starts; the next look finds it.
    }
  }, 2000);
})();
