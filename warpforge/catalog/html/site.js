"use strict";
(() => {
  const make = (tag, cls, words) => {
    const e = document.createElement(tag);
    if (cls) e.className = cls;
    if (words !== undefined) e.textContent = words;
    return e;
  };

  /* copying */
  const status = make("p", "hidden");
  status.setAttribute("role", "status");
  document.body.append(status);
  const copy = async (text) => {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* not from a file: */ }
    const area = make("textarea", "hidden", text);
    document.body.append(area);
    area.select();
    let done = false;
    try { done = document.execCommand("copy"); } catch { /* the text can be selected by hand */ }
    area.remove();
    return done;
  };
  for (const code of document.querySelectorAll("[data-copy]")) {
    const button = make("button", "copier", "copy");
    button.type = "button";
    button.setAttribute("aria-label", "Copy " + code.dataset.what + ": " + code.dataset.copy);
    button.addEventListener("click", async () => {
      const done = await copy(code.dataset.copy);
      button.textContent = done ? "copied" : "select it";
      status.textContent = done ? "copied" : "it could not be copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
    code.after(button);
  }

  /* a way into the search */
  const field = document.getElementById("q");
  document.addEventListener("keydown", (event) => {
    const at = document.activeElement;
    if (event.key === "/" && field && at !== field && !event.ctrlKey && !event.metaKey && !event.altKey
        && !(at && /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName))) {
      event.preventDefault();
      field.focus();
      field.select();
    }
  });
  for (const open of document.querySelectorAll("details")) {
    if ("#" + open.id === location.hash) open.open = true;
  }
  addEventListener("hashchange", () => {
    const at = document.getElementById(location.hash.slice(1));
    if (at && at.tagName === "DETAILS") at.open = true;
  });

  /* searching: every word must be in the name or in what is said of it; the nearer to the name's end, the better */
  const list = document.getElementById("results");
  if (!list || !field || typeof CATALOG === "undefined") return;
  const found = document.getElementById("found"), all = document.getElementById("all");
  const up = document.querySelector(".brand").getAttribute("href").replace(/index\.html$/, "");
  const rows = CATALOG.map((row) => [row[0].toLowerCase(), row[3].toLowerCase(), row]);
  const path = (text) => text.split("/").map(encodeURIComponent).join("/");
  const score = (name, about, words) => {
    let sum = 0;
    for (const word of words) {
      const at = name.lastIndexOf(word);
      if (at < 0) {
        if (!about.includes(word)) return -1;
        sum += 1;
        continue;
      }
      const starts = at === 0 || "/.-".includes(name[at - 1]);
      const ends = at + word.length === name.length;
      sum += starts && ends ? 12 : starts ? 7 : ends ? 5 : 3;
      if (name.indexOf("/", at) >= 0) sum -= 1;
    }
    return sum;
  };
  const marked = (text, words) => {
    const out = make("span"), low = text.toLowerCase();
    let at = 0;
    while (at < text.length) {
      let next = -1, size = 0;
      for (const word of words) {
        const here = low.indexOf(word, at);
        if (here >= 0 && (next < 0 || here < next)) { next = here; size = word.length; }
      }
      if (next < 0) break;
      out.append(text.slice(at, next), make("mark", "", text.slice(next, next + size)));
      at = next + size;
    }
    out.append(text.slice(at));
    return out;
  };
  const item = ([name, latest, count, about, hazard], words) => {
    const entry = make("li"), left = make("div"), side = make("div", "side");
    const link = make("a", "name");
    link.href = up + path(name) + "/index.html";
    link.append(marked(name, words));
    left.append(link);
    if (about) { const said = make("span", "about"); said.append(marked(about, words)); left.append(said); }
    if (hazard) side.append(make("span", "pill danger", "hazard"));
    if (latest) {
      const newest = make("a", "latest", latest);
      newest.href = up + path(name) + "/_releases/" + encodeURIComponent(latest) + ".html";
      side.append(newest);
    }
    side.append(make("span", "dim", count + (count === 1 ? " release" : " releases")));
    entry.append(left, side);
    return entry;
  };
  const MOST = 100;
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    list.replaceChildren();
    if (all) all.hidden = words.length > 0;
    found.textContent = "";
    if (!words.length) return;
    const hits = [];
    for (const [name, about, row] of rows) {
      const points = score(name, about, words);
      if (points >= 0) hits.push([points, name.length, name, row]);
    }
    hits.sort((a, b) => b[0] - a[0] || a[1] - b[1] || (a[2] < b[2] ? -1 : 1));
    found.textContent = !hits.length ? "Nothing is called so." : hits.length + (hits.length === 1 ? " module" : " modules")
      + (hits.length > MOST ? ", the first " + MOST + " are shown" : "");
    list.append(...hits.slice(0, MOST).map((hit) => item(hit[3], words)));
  };
  field.addEventListener("input", search);
  field.form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
    const first = list.querySelector("a");
    if (first) first.focus();
  });
  const asked = new URLSearchParams(location.search).get("q");
  if (asked) field.value = asked;
  if (field.value) search();
  if (!all) field.focus();
})();
