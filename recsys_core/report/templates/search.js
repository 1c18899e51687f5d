(() => {
  const form = document.getElementById("find");
  const field = document.getElementById("find-user");
  const out = document.getElementById("found");
  const files = Number(form.dataset.files);
  const parts = {};
  const inside = document.getElementById("lists");
  if (inside) parts[0] = JSON.parse(inside.textContent);
  window.recsysLists = (number, part) => { parts[number] = part; };

  const hash = (text) => {
    let value = 2166136261;
    for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 16777619) >>> 0;
    return value;
  };
  const element = (kind, name, text) => {
    const made = document.createElement(kind);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const say = (text) => out.replaceChildren(element("p", "empty", text));

  const count = (number) => number.toLocaleString("en-US");
  const quoted = (title) => {
    const text = title.trim().replace(/\s+/g, " ").replace(/^(.+), (The|A|An)$/, "$2 $1");
    const letters = [...text];
    return `\u201c${letters.length > 80 ? letters.slice(0, 79).join("").trimEnd() + "\u2026" : text}\u201d`;
  };
  // As the samples have it (parts.html.j2, macro causes).
  const bar = (part, shares, falls, before, rank) => {
    const line = element("p", "shares");
    const stack = element("span", "stack");
    stack.setAttribute("aria-hidden", "true");
    const said = [];
    for (let at = 0; at < shares.length; at += 2) {
      const [number, percent] = [shares[at], shares[at + 1]];
      const piece = element("i", `part${number}`);
      piece.style.width = `${percent}%`;
      piece.title = `${part.parts[number]}: ${percent} %`;
      stack.append(piece);
      if (percent >= 1) said.push(`${percent} % ${part.parts[number]}`);
    }
    let told = `${said.join(", ")}.`;
    for (const [item, place] of falls) told += ` Without ${quoted(part.items[item][0])} it would stand at place ${count(place)}.`;
    if (before) told += ` By the model's score it stood at place ${count(before)}; judged, at ${count(rank)}.`;
    line.append(stack, element("span", "note", told));
    return line;
  };

  const show = (part, user) => {
    const rows = Object.hasOwn(part.users, user) ? part.users[user] : null;
    if (!rows) return say(`No user "${user}" has a list in this run.`);
    const box = element("article", "user");
    const head = element("header");
    const writers = [...new Set(rows.map((row) => part.models[row[3]]))];
    const by = writers.length === 1 && writers[0] ? `, written by ${writers[0]}` : "";
    head.append(element("h3", "", `User ${user}`), element("p", "", `${rows.length} recommendations${by}`));
    const list = element("ol");
    for (const [item, score, reason, model, causes, shares, falls, before] of rows) {
      const [title, year] = part.items[item];
      const row = element("li");
      const pick = element("p", "pick");
      pick.append(element("bdi", "title", title), element("span", "year", year ? ` ${year}` : ""),
        element("span", "score", score.toFixed(2)));
      row.append(pick);
      if (reason) { const said = element("p", "reason", reason); said.dir = "auto"; row.append(said); }
      if (causes.length) {
        const chips = element("p", "causes");
        for (const cause of causes) chips.append(element("span", "chip", cause), " ");
        row.append(chips);
      }
      if (shares && shares.length) row.append(bar(part, shares, falls, before, list.children.length + 1));
      const writer = part.models[model];
      if (writer && writers.length > 1) row.append(element("p", "note", `written by ${writer}`));
      list.append(row);
    }
    const picks = element("div", "picks");
    picks.append(list);
    box.append(head, picks);
    out.replaceChildren(box);
  };

  const find = () => {
    const user = field.value.trim();
    if (!user) return say("Which user? Type an id.");
    const number = files ? hash(user) % files : 0;
    if (parts[number]) return show(parts[number], user);
    say("Loading ...");
    const script = document.createElement("script");
    script.src = `${form.dataset.folder}/${number}.js`;
    script.onload = () => (parts[number] ? show(parts[number], user) : say(`${script.src} holds no lists.`));
    script.onerror = () => say(`The file ${form.dataset.folder}/${number}.js beside this page cannot be read: either no user "${user}" has a list, or the page was moved without its folder.`);
    document.head.append(script);
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    history.replaceState(null, "", `#user=${encodeURIComponent(field.value.trim())}`);
    find();
  });
  // A link to one user: report.html#user=405
  const follow = () => {
    if (!location.hash.startsWith("#user=")) return;
    const given = location.hash.slice(6);
    try {
      field.value = decodeURIComponent(given);
    } catch {
      field.value = given; // a lone %, typed by hand
    }
    find();
    form.scrollIntoView({ behavior: "instant" });
  };
  window.addEventListener("hashchange", follow);
  follow();
})();
