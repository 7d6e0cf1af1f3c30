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

  /* searching: every word must be in the name or in what is said of it, or be a release's or an item's; the nearer to
     the name's end, the better. NAME:RELEASE:ITEM looks into the releases, a hash into the wares. */
  const list = document.getElementById("results");
  if (!list || !field || typeof CATALOG === "undefined") return;
  const found = document.getElementById("found"), all = document.getElementById("all");
  const up = document.querySelector(".brand").getAttribute("href").replace(/index\.html$/, "");
  const rows = CATALOG.map((row, at) => ({ name: row[0].toLowerCase(), about: row[3].toLowerCase(), row, at, names: "" }));
  const path = (text) => text.split("/").map(encodeURIComponent).join("/");
  const asked_for = new Map();
  const load = (file) => {
    if (!asked_for.has(file)) {
      asked_for.set(file, new Promise((done) => {
        const script = make("script");
        script.addEventListener("load", done);
        script.addEventListener("error", done);
        script.src = up + file;
        document.head.append(script);
      }));
    }
    return asked_for.get(file);
  };
  const named = () => typeof NAMES !== "undefined";
  const names_of = (one) => {
    if (!one.names && named()) {
      const [releases, sets] = NAMES[one.at];
      one.names = (releases + " " + [...new Set([sets].flat())].map((set) => ITEMS[set]).join(" ")).toLowerCase();
    }
    return one.names;
  };
  const releases_of = (one) => {
    const [said, sets] = NAMES[one.at];
    return said ? said.split(" ").map((release, at) => [release, ITEMS[typeof sets === "number" ? sets : sets[at]]]) : [];
  };
  const score = (one, words) => {
    let sum = 0;
    for (const word of words) {
      const at = one.name.lastIndexOf(word);
      if (at < 0) {
        if (!one.about.includes(word) && !names_of(one).includes(word)) return -1;
        sum += 1;
        continue;
      }
      const starts = at === 0 || "/.-".includes(one.name[at - 1]);
      const ends = at + word.length === one.name.length;
      sum += starts && ends ? 12 : starts ? 7 : ends ? 5 : 3;
      if (one.name.indexOf("/", at) >= 0) sum -= 1;
    }
    return sum;
  };
  const best = (words) => {
    const hits = [];
    for (const one of rows) {
      const points = score(one, words);
      if (points >= 0) hits.push([points, one.name.length, one.name, one]);
    }
    hits.sort((a, b) => b[0] - a[0] || a[1] - b[1] || (a[2] < b[2] ? -1 : 1));
    return hits.map((hit) => hit[3]);
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
  const release_page = (name, release) => up + path(name) + "/_releases/" + encodeURIComponent(release) + ".html";
  const item = (one, words) => {
    const [name, latest, count, about, hazard] = one.row;
    const entry = make("li"), left = make("div"), side = make("div", "side");
    const link = make("a", "name");
    link.href = up + path(name) + "/index.html";
    link.append(marked(name, words));
    left.append(link);
    if (about) { const said = make("span", "about"); said.append(marked(about, words)); left.append(said); }
    if (hazard) side.append(make("span", "pill danger", "hazard"));
    const rest = named() ? words.filter((word) => !one.name.includes(word) && !one.about.includes(word)) : [];
    const has = ([release, items]) => rest.every((word) => (release + " " + items).toLowerCase().includes(word));
    const meant = rest.length ? releases_of(one).filter(has).slice(0, 4).map(([release]) => release) : [];
    for (const release of meant.length ? meant : latest ? [latest] : []) {
      const newest = make("a", "latest");
      newest.append(marked(release, rest));
      newest.href = release_page(name, release);
      side.append(newest);
    }
    side.append(make("span", "dim", count + (count === 1 ? " release" : " releases")));
    entry.append(left, side);
    return entry;
  };
  const reference = (name, release, label, about) => {
    const entry = make("li"), left = make("div"), link = make("a", "name", [name, release, label].filter(Boolean).join(":"));
    link.href = release_page(name, release) + (label ? "#item-" + encodeURIComponent(label) : "");
    left.append(link);
    if (about) left.append(make("span", "about", about));
    entry.append(left);
    return entry;
  };
  const MOST = 100;
  const tell = (entries, count, what) => {
    found.textContent = !count ? "Nothing is called so." : count + " " + what + (count === 1 ? "" : "s")
      + (count > MOST ? ", the first " + MOST + " are shown" : "");
    list.replaceChildren(...entries.slice(0, MOST));
  };
  const search_wares = async (text, packtype, hash) => {
    const code = [...hash.slice(0, DIGITS)].map((c) => c.charCodeAt(0).toString(16)).join("-") || "all";
    await load("_wares/" + code + ".js");
    if (text !== field.value.trim()) return true; // something else was typed meanwhile
    const entries = [];
    for (const [ware, refs] of Object.entries((window.WARES || {})[code] || {})) {
      const at = ware.indexOf(":");
      if (ware.startsWith(hash, at + 1) && (!packtype || ware.slice(0, at) === packtype)) {
        entries.push(...refs.map((ref) => reference(...ref.split(":"), ware)));
      }
    }
    if (entries.length) tell(entries, entries.length, "name");
    return entries.length > 0;
  };
  const search_references = (text, words) => {
    const [name, release = "", label = ""] = text.split(":");
    const entries = [];
    let count = 0;
    for (const one of best([...name.split(/\s+/).filter(Boolean), ...words])) {
      for (const [said, items] of releases_of(one)) {
        if (!said.toLowerCase().includes(release)) continue;
        const labels = text.split(":").length > 2 ? items.split(" ").filter((one) => one.toLowerCase().includes(label)) : [""];
        count += labels.length;
        if (entries.length < MOST) entries.push(...labels.map((one_label) => reference(one.row[0], said, one_label, "")));
      }
    }
    tell(entries, count, text.split(":").length > 2 ? "item" : "release");
  };
  const search_names = (text) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const referring = words.findIndex((word) => word.includes(":"));
    if (referring >= 0 && named()) {
      search_references(words[referring].replace(/^(catalog|ware):/, ""), words.filter((_, at) => at !== referring));
      return;
    }
    const hits = best(words);
    tell(hits.slice(0, MOST).map((hit) => item(hit, words)), hits.length, "module");
  };
  const search = async () => {
    const text = field.value.trim();
    if (all) all.hidden = text !== "";
    if (!text) {
      found.textContent = "";
      list.replaceChildren();
      return;
    }
    const ware = text.match(/^(?:ware:)?(?:([a-z0-9][a-z0-9+.-]*):)?([A-Za-z0-9]{2,})$/);
    const is_hash = ware && (ware[1] ? PACKTYPES.includes(ware[1]) : ware[2].length >= 8 && /[0-9]/.test(ware[2]));
    if (is_hash && await search_wares(text, ware[1], ware[2])) return;
    if (text !== field.value.trim()) return;
    search_names(text);
    if (!named()) {
      await load("_names.js");
      if (named() && text === field.value.trim()) search_names(text);
    }
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
