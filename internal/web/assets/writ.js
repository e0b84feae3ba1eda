// What Writ's pages do beyond plain HTML: fresh ages, the reader's zone, copy buttons,
// and the command palette on "/". Every page works without this file.
"use strict";
(() => {
  const units = [[86400, "day"], [3600, "h"], [60, "min"], [1, "s"]];

  // Same words as web.Age.
  function age(then, now) {
    const past = now >= then, s = Math.abs(now - then) / 1000;
    if (s < 10) return "just now";
    if (s >= 15 * 86400) return new Date(then).toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
    const [size, name] = units.find(([u]) => s >= u);
    const n = Math.floor(s / size);
    const text = n + " " + name + (name === "day" && n !== 1 ? "s" : "");
    return past ? text + " ago" : "in " + text;
  }

  const whole = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });

  // The server's clock counts, not the reader's: ages start from what the page said.
  const opened = Date.now();
  const skew = Number(document.documentElement.dataset.now || opened) - opened;

  function refresh() {
    for (const t of document.querySelectorAll("time[data-show]")) {
      const then = Date.parse(t.dateTime);
      let text = t.textContent;
      if (t.dataset.show === "age") text = age(then, Date.now() + skew);
      if (t.dataset.show === "time") text = whole.format(then);
      if (t.textContent !== text) t.textContent = text;
    }
  }
  refresh();
  setInterval(() => document.hidden || refresh(), 15000);

  if (navigator.clipboard) {
    for (const pre of document.querySelectorAll("pre[data-copy]")) {
      const b = document.createElement("button");
      b.type = "button";
      b.className = "copy";
      b.textContent = "Copy";
      b.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(pre.textContent);
          b.textContent = "Copied";
        } catch {
          b.textContent = "Select and copy by hand";
        }
        setTimeout(() => { b.textContent = "Copy"; }, 2000);
      });
      pre.parentNode.append(b);
    }
  }

  const summary = document.getElementById("errors");
  if (summary) summary.focus();

  const find = document.getElementById("find");
  if (!find) return;
  const form = find.form;
  const list = document.createElement("ul");
  list.className = "hits";
  list.id = "hits";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Found");
  form.append(list);
  for (const [k, v] of [["role", "combobox"], ["aria-controls", "hits"], ["aria-expanded", "false"], ["aria-autocomplete", "list"]]) find.setAttribute(k, v);

  let at = -1, asked = 0, wait;

  function close() {
    list.hidden = true;
    at = -1;
    find.setAttribute("aria-expanded", "false");
    find.removeAttribute("aria-activedescendant");
  }

  function point(to) {
    const all = list.children;
    if (!all.length) return;
    at = (to + all.length) % all.length;
    [...all].forEach((li, i) => li.setAttribute("aria-selected", String(i === at)));
    find.setAttribute("aria-activedescendant", all[at].id);
    all[at].scrollIntoView({ block: "nearest" });
  }

  function show(hits) {
    list.replaceChildren(...hits.slice(0, 12).map((h, i) => {
      const li = document.createElement("li"), a = document.createElement("a"), kind = document.createElement("span");
      li.id = "hit-" + i;
      li.setAttribute("role", "option");
      a.href = h.href.startsWith("/") && !h.href.startsWith("//") ? h.href : "#";
      a.tabIndex = -1;
      a.textContent = h.text;
      kind.textContent = h.kind;
      a.append(kind);
      li.append(a);
      return li;
    }));
    at = -1;
    list.hidden = !hits.length;
    find.setAttribute("aria-expanded", String(!!hits.length));
  }

  async function ask() {
    const q = find.value.replace(/^\//, "").trim(), mine = ++asked;
    if (!q) return close();
    try {
      const r = await fetch(form.getAttribute("action") + "?q=" + encodeURIComponent(q), { headers: { Accept: "application/json" } });
      const found = r.ok ? await r.json() : { hits: [] };
      if (mine === asked) show(found.hits || []);
    } catch {
      close();
    }
  }

  find.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(ask, 120); });
  find.addEventListener("keydown", (e) => {
    if (e.key === "ArrowDown") { e.preventDefault(); point(at + 1); }
    if (e.key === "ArrowUp") { e.preventDefault(); point(at - 1); }
    if (e.key === "Escape") { close(); find.blur(); }
  });
  form.addEventListener("submit", (e) => {
    if (at < 0 || list.hidden) return;
    e.preventDefault();
    list.children[at].firstChild.click();
  });
  find.addEventListener("blur", () => setTimeout(close, 150));
  document.addEventListener("keydown", (e) => {
    const typing = e.target.closest("input, textarea, select, [contenteditable]");
    if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey && !e.altKey) { e.preventDefault(); find.focus(); find.select(); }
  });
})();
