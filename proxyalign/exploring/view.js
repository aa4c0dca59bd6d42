// Draws what proxyalign/exploring/widget.py says, and hands back what is chosen. All text from models is set as text.

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function number(x) {
  if (x == null) return "–";
  if (x !== 1 && Math.abs(x - 1) < 1e-3) return `1 ${x < 1 ? "−" : "+"} ${Math.abs(1 - x).toExponential(1)}`;
  return x !== 0 && Math.abs(x) < 1e-3 ? x.toExponential(1) : String(+x.toPrecision(3));
}
// What cannot be seen is shown: line ends, tabs, and what `visible` of displays.py tells by its number.
const HIDDEN = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const code = (sign) => `⟨${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
const visible = (text) => text.replace(/\n/g, "↵\n").replace(/\t/g, "⇥").replace(HIDDEN, code);
const quoted = (text) => (text ? `“${visible(text).replace(/\n/g, "")}”` : "(nothing)");

function field(label, value, { low, high, is_whole }, onchange) {
  const isRange = low != null && high != null && !is_whole;
  const ends = { min: low, max: high, step: is_whole ? 1 : isRange ? (high - low) / 100 : "any" };
  const box = make("input", { ...ends, step: is_whole ? 1 : "any", type: "number", value, "aria-label": label });
  const parts = [box];
  if (isRange) {
    const slider = make("input", { ...ends, type: "range", value, "aria-label": `${label}, slider` });
    slider.addEventListener("input", () => (box.value = slider.value));
    slider.addEventListener("change", () => onchange(+slider.value));
    box.addEventListener("input", () => (slider.value = box.value));
    parts.unshift(slider);
  }
  box.addEventListener("change", () => box.value !== "" && onchange(+box.value));
  return make("span", { class: "pa-field" }, make("span", {}, label), ...parts);
}

function drawControls(model, write) {
  const { rules, hottest } = model.get("controls");
  const settings = model.get("settings");
  const chosen = rules.find((rule) => rule.name === settings.rule);
  const select = make("select", { "aria-label": "rule" });
  for (const rule of rules) select.append(make("option", { value: rule.name, selected: rule === chosen }, rule.name));
  select.addEventListener("change", () => {
    const next = rules.find((rule) => rule.name === select.value);
    write({ rule: next.name, parameters: Object.fromEntries(next.parameters.map((one) => [one.name, one.first])) });
  });
  const ofParameters = chosen.parameters.map((one) =>
    field(one.name, settings.parameters[one.name], one, (value) =>
      write({ parameters: { ...model.get("settings").parameters, [one.name]: value } })));
  return [
    make("span", { class: "pa-field" }, make("span", {}, "rule"), select),
    ...ofParameters,
    field("temperature", settings.temperature, { low: 0, high: hottest }, (value) => write({ temperature: value })),
    field("seed", settings.seed, { low: 0, high: null, is_whole: true }, (value) => write({ seed: value })),
    make("code", { class: "pa-formula" }, chosen.formula),
  ];
}

function drawText(model, open) {
  const { tokens } = model.get("answer");
  const colours = model.get("controls").sources;
  const at = model.get("position");
  const text = make("div", { class: "pa-text", role: "listbox", "aria-label": "the text, piece by piece" });
  tokens.forEach((token, place) => {
    const told = `${token.source}: p_y ${number(token.p)}, D ${number(token.mass)}`;
    text.append(make("span", {
      class: `pa-piece pa-${token.source}`, role: "option", title: told, "data-place": place,
      style: `background:${colours[token.source]}`, tabindex: place === Math.max(at, 0) ? 0 : -1,
      "aria-selected": String(place === at), "aria-label": `${quoted(token.text)}, ${told}`,
    }, visible(token.text) || "∅"));
  });
  const focus = (place) => {
    const next = text.children[Math.min(Math.max(place, 0), tokens.length - 1)];
    for (const piece of text.children) piece.tabIndex = piece === next ? 0 : -1;
    next.focus();
  };
  text.addEventListener("click", (event) => {
    const piece = event.target.closest(".pa-piece");
    if (piece) open(+piece.dataset.place);
  });
  text.addEventListener("keydown", (event) => {
    const place = +(event.target.dataset.place ?? 0);
    const moves = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tokens.length - 1 };
    if (event.key in moves) focus(moves[event.key]);
    else if (event.key === "Enter" || event.key === " ") open(place);
    else return;
    event.preventDefault();
  });
  return text;
}

function drawStrips(step) {
  return step.methods.map((method) => {
    const strip = make("div", { class: "pa-strip", "aria-hidden": "true" });
    for (const [left, width] of method.boxes)
      strip.append(make("i", { style: `left:${100 * left}%;width:${100 * width}%` }));
    strip.append(make("b", { style: `left:${100 * Math.min(step.budget, 1)}%` }));
    const proved = method.is_optimal == null ? "" : method.is_optimal ? ", proved optimal" : "";
    const told = `${number(method.value)} nats at mass ${number(method.mass)}, ${method.n_deferred} deferred${proved}`;
    return make("div", { class: "pa-method" }, make("span", {}, make("strong", {}, method.name), ` ${told}`), strip);
  });
}

function drawTable(step) {
  const names = step.methods.slice(1).map((method) => method.name);
  const head = ["token", "p", "q", "π", "rule", ...names].map((name) => make("th", { scope: "col" }, name));
  const body = step.rows.map((row) => {
    const marks = [row.is_drawn ? "written" : "", row.is_critical ? "critical item" : ""].filter(Boolean).join(", ");
    const token = make("th", { scope: "row" }, make("bdi", {}, quoted(row.text)), make("small", {}, ` ${marks || row.id}`));
    const rule = row.is_deferred == null ? "–" : row.is_deferred ? "deferred" : "kept";
    const others = names.map((name) => (row.deferred_by.includes(name) ? "deferred" : "kept"));
    const cells = [...[row.p, row.q, row.pi].map(number), rule, ...others];
    const kind = [row.is_drawn && "pa-drawn", row.is_critical && "pa-critical"].filter(Boolean).join(" ");
    return make("tr", { class: kind }, token, ...cells.map((cell) => make("td", { "data-set": cell }, cell)));
  });
  const { n_kept, mass_kept, n_deferred, mass_deferred } = step.rest;
  const rest = `and ${n_kept} more kept of mass ${number(mass_kept)}, ${n_deferred} more deferred of mass ${number(mass_deferred)}`;
  return [make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)), make("p", {}, rest)];
}

function drawStep(step) {
  if (step.position == null) return [make("p", {}, "Choose a piece of the text to see its step: click it, or arrow keys and Enter.")];
  const title = make("h4", {}, `Step ${step.position + 1}: ${quoted(step.text)}, written by: ${step.source}`);
  if (step.budget == null) return [title, make("p", {}, "This rule makes one law of the models and hands no token over."), ...drawTable(step)];
  const whose = step.has_budget ? "the rule's" : "what the rule spent";
  const critical = step.critical ? `${quoted(step.critical.text)}, p ${number(step.critical.p)}` : "none, all tokens fit";
  const facts = make("p", { class: "pa-facts" },
    `Deferred mass D ${number(step.mass)}; budget ${number(step.budget)} (${whose}); critical item: ${critical}; ` +
    `dual at alpha ${number(step.alpha)}; no set within the budget is worth more than ${number(step.upper_bound)} nats.`);
  const axis = make("p", { class: "pa-axis" }, "What each defers: least likely token first, as wide as its mass; the line is the budget.");
  return [title, facts, ...drawTable(step), ...drawStrips(step), axis];
}

export default {
  render({ model, el }) {
    const controls = make("div", { class: "pa-controls" });
    const message = make("p", { class: "pa-message", role: "alert" });
    const summary = make("p", { class: "pa-summary" });
    const text = make("div");
    const step = make("div", { class: "pa-step", "aria-live": "polite" });
    // JupyterLab would take the arrow keys and Enter for moves between cells.
    const root = make("div", { class: "pa-explore", "data-lm-suppress-shortcuts": "true" }, controls, message, summary, text, step);
    root.addEventListener("keydown", (event) => event.stopPropagation());
    const busy = (is) => root.setAttribute("aria-busy", String(is));
    const send = (name, value) => {
      model.set(name, value);
      model.save_changes();
    };
    const write = (changes) => {
      busy(true);
      send("settings", { ...model.get("settings"), ...changes });
    };
    const open = (place) => {
      if (place === model.get("position")) return;
      busy(true);
      send("position", place);
    };
    const refill = (node, draw) => {
      const focused = node.contains(document.activeElement) ? document.activeElement : null;
      const name = focused && (focused.dataset.place ?? focused.getAttribute("aria-label"));
      node.replaceChildren(...draw());
      if (name == null) return;
      const same = [...node.querySelectorAll("[aria-label]")].find((one) => (one.dataset.place ?? one.getAttribute("aria-label")) === name);
      if (same) same.focus();
    };
    const showControls = () => refill(controls, () => drawControls(model, write));
    const showStep = () => {
      step.replaceChildren(...drawStep(model.get("step")));
      busy(false);
    };
    const showText = () => refill(text, () => [drawText(model, open)]);
    const showAnswer = () => {
      const answer = model.get("answer");
      message.textContent = answer.message;
      const colours = model.get("controls").sources;
      const written = [...new Set(answer.tokens.map((token) => token.source))].sort();
      const legend = written.map((source) => make("span", { class: `pa-source pa-${source}`, style: `background:${colours[source]}` }, ` ${source} `));
      summary.replaceChildren(`${answer.rule}: ${answer.tokens.length} pieces, ${number(answer.deferral_rate)} of the mass deferred at a step; written by `, ...legend);
      showText();
      busy(false);
    };
    const shown = { settings: showControls, answer: showAnswer, position: showText, step: showStep };
    for (const [name, show] of Object.entries(shown)) {
      model.on(`change:${name}`, show);
      show();
    }
    el.append(root);
    return () => Object.entries(shown).forEach(([name, show]) => model.off(`change:${name}`, show));
  },
};
