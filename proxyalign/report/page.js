/* The questions of a report: unpacked once, filtered, and built only where they are seen.
   Every text of a model or a benchmark goes through `put`, which makes text nodes and nothing else. */
"use strict";
(() => {
  const ROW = 44; // px, the height of .row in the style sheet
  const SPARE = 8; // rows built above and below what is seen
  const SOURCES = {b: "base", p: "proxy", d: "draft", r: "residual"};
  // Characters that are not seen or turn others round, as `visible` of page.py has them.
  const HIDDEN = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
  const at = (id) => document.getElementById(id);
  const [list, rail, detail, token, state, form] = ["list", "rail", "detail", "token", "state", "filters"].map(at);
  const {left, right, verdict, text: wanted} = form.elements;
  let data; // what content.py packed
  let shown = []; // numbers of the questions that the filter shows, in the list's order
  let chosen = 0; // a place in `shown`
  const searched = []; // of each question, its texts in lower case, once they were looked through

  async function unpack() {
    const packed = atob(at("data").textContent);
    const bytes = new Uint8Array(packed.length);
    for (let i = 0; i < packed.length; i++) bytes[i] = packed.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  function make(name, className, ...children) {
    const element = document.createElement(name);
    if (className) element.className = className;
    element.append(...children);
    return element;
  }

  /* Add a text to an element, its hidden characters told by their numbers. */
  function put(element, text) {
    let from = 0;
    for (const found of text.matchAll(HIDDEN)) {
      const number = found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      element.append(text.slice(from, found.index), make("span", "control", `U+${number}`));
      from = found.index + found[0].length;
    }
    element.append(text.slice(from));
    return element;
  }

  const reply = (run, question) => data.replies[run][question];
  const isOne = () => data.runs.length === 1;
  const spelled = (one) => one.trace.pieces.join(""); // with the special tokens that a reply is without
  const said = (one) => one.reply ?? JSON.stringify(one.log_likelihoods ?? one.extracted);

  function judged(question) {
    const [was, is] = [left, right].map((run) => reply(run.value, question).right);
    if (isOne()) return is ? "right" : "wrong";
    return is === was ? (is ? "both right" : "both wrong") : is ? "helps" : "harms";
  }

  /* 0 where the verdicts differ, 1 where the replies alone do, 2 where nothing does. */
  function sameness(question) {
    const [one, other] = [left, right].map((run) => reply(run.value, question));
    return one.right !== other.right ? 0 : said(one) !== said(other) ? 1 : 2;
  }

  function isShown(question) {
    const is = judged(question);
    const passes = {
      all: true, right: reply(right.value, question).right, wrong: !reply(right.value, question).right,
      helps: is === "helps", harms: is === "harms",
    };
    if (!passes[verdict.value]) return false;
    if (!wanted.value) return true;
    const one = data.questions[question];
    searched[question] ??= [one.id, one.text ?? "", ...data.replies.map((of) => said(of[question]))]
      .join("\n").toLowerCase();
    return searched[question].includes(wanted.value.toLowerCase());
  }

  function filter() {
    const ranked = data.questions.map((_, i) => i).filter(isShown).map((i) => [sameness(i), i]);
    shown = ranked.sort((one, other) => one[0] - other[0] || one[1] - other[1]).map((pair) => pair[1]);
    const n = ranked.filter((pair) => pair[0] < 2).length;
    const differ = isOne() ? "" : `, of which ${n} differ between the two runs, these first`;
    state.textContent = `${shown.length} of ${data.questions.length} questions${differ}.`;
    rail.style.height = `${shown.length * ROW}px`;
    list.scrollTop = 0;
    choose(0);
  }

  function choose(place) {
    chosen = Math.max(0, Math.min(place, shown.length - 1));
    const top = chosen * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    build();
    detail.replaceChildren(...(shown.length ? [entry(shown[chosen], spans)] : []));
    detail.scrollTop = 0;
  }

  /* The rows of the list that are seen, and a few beside them. */
  function build() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
    const rows = [];
    for (let place = first; place < last; place++) rows.push(row(place));
    rail.replaceChildren(...rows);
    if (chosen >= first && chosen < last) list.setAttribute("aria-activedescendant", `row-${chosen}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function row(place) {
    const question = data.questions[shown[place]];
    const is = judged(shown[place]);
    const name = put(make("span", "name"), question.id);
    const begins = (question.text ?? said(reply(right.value, shown[place]))).slice(0, 160);
    const start = put(make("span", "start"), begins.replace(/[\ud800-\udbff]$/, "")); // no pair of surrogates cut in two
    start.dir = "auto"; // or the beginning of a text from right to left would be what is cut off
    const element = make("div", "row", make("span", `verdict ${is.replace(" ", "-")}`, is), name, start);
    element.id = `row-${place}`;
    element.dataset.place = place;
    element.style.top = `${place * ROW}px`;
    const told = {role: "option", "aria-selected": place === chosen, "aria-setsize": shown.length, "aria-posinset": place + 1};
    for (const [key, value] of Object.entries(told)) element.setAttribute(key, value);
    return element;
  }

  /* A question with the replies of the two runs. `spell` makes the elements of a trace. */
  function entry(number, spell) {
    const question = data.questions[number];
    const runs = isOne() ? [right.value] : [left.value, right.value];
    const replies = runs.map((run) => reply(run, number));
    const texts = replies.map(replies.every((one) => one.trace) ? spelled : said);
    const fork = runs.length > 1 && said(replies[0]) !== said(replies[1]) ? common(...texts) : -1;
    const asked = make("div", "asked", put(make("h3"), question.id));
    const parts = [question.text ?? "The question's text is not in this report."];
    if (question.answer !== undefined) parts.push(`Expected: ${answer(question, question.answer)}`);
    asked.append(...parts.map((part) => paragraph(part)));
    const columns = runs.map((run) => column(run, number, fork, spell));
    return make("article", "", asked, make("div", "columns", ...columns));
  }

  const answer = (question, index) => question.choices?.[Number(index)] ?? String(index);

  function paragraph(text, className = "said") {
    const element = put(make("p", className), text);
    element.dir = "auto";
    return element;
  }

  function column(run, number, fork, spell) {
    const one = reply(run, number);
    const question = data.questions[number];
    const found = one.extracted === null ? ["no answer"] : ["answer ", put(make("span", "extracted"), answer(question, one.extracted))];
    const further = one.reply === undefined ? "" : `, ${(100 * one.deferred).toFixed(1)} % deferred`;
    const facts = make("p", "facts", one.right ? "right, " : "wrong, ", ...found, `, ${one.n_tokens} tokens${further}`);
    const element = make("section", "column", put(make("h4"), data.runs[run]), facts);
    if (one.log_likelihoods) element.append(likelihoods(question, one));
    else if (one.trace) element.append(traced(one.trace, number, run, fork, spell));
    else element.append(forked(one.reply ?? "", fork));
    return element;
  }

  function likelihoods(question, one) {
    const items = one.log_likelihoods.map((nats, i) => {
      const value = nats === null ? "minus infinity" : nats.toFixed(3);
      return put(make("li", String(i) === one.extracted ? "picked" : ""), `${value} nats: ${answer(question, i)}`);
    });
    return make("ol", "said", ...items);
  }

  /* How many UTF-16 units two texts have in common at their beginning, no pair of surrogates cut in two. */
  function common(one, other) {
    let n = 0;
    while (n < Math.min(one.length, other.length) && one[n] === other[n]) n++;
    return n > 0 && /[\ud800-\udbff]/.test(one[n - 1]) ? n - 1 : n;
  }

  const differs = () => make("span", "fork", "differs from here");

  function forked(text, fork) {
    if (fork < 0) return paragraph(text);
    const element = paragraph(text.slice(0, fork));
    element.append(differs());
    return put(element, text.slice(fork));
  }

  function traced(trace, number, run, fork, spell) {
    const element = make("p", "said trace");
    element.dir = "auto";
    Object.assign(element.dataset, {number, run});
    let length = 0; // of the text up to the piece
    const forkAt = fork < 0 ? -1 : trace.pieces.findIndex((piece) => (length += piece.length) > fork);
    spell(trace, forkAt).forEach(([span, from]) => element.append(...(from === forkAt ? [differs()] : []), span));
    if (fork >= 0 && forkAt < 0) element.append(differs()); // the other reply goes on
    return element;
  }

  /* One element a token, each with its number. */
  const spans = (trace) => trace.pieces.map((piece, i) => {
    const span = put(make("span", `token ${trace.source[i]}`), piece === "" ? "\u25ab" : piece.replaceAll("\n", "\u21b5\n"));
    span.dataset.token = i;
    span.tabIndex = i ? -1 : 0;
    return [span, i];
  });

  /* One element for the tokens in a row that have one source, which is all that paper shows; a new one at `forkAt`. */
  function merged(trace, forkAt) {
    const found = [];
    trace.pieces.forEach((piece, i) => {
      const goesOn = i > 0 && i !== forkAt && trace.source[i] === trace.source[i - 1];
      if (!goesOn) found.push([make("span", `token ${trace.source[i]}`), i]);
      put(found.at(-1)[0], piece);
    });
    return found;
  }

  const figure = (value) => (value === null ? "not known, the base did not run" : String(value));

  function tell(span) {
    const {number, run} = span.parentElement.dataset;
    const {pieces, source, p_y, deferral_mass} = reply(run, number).trace;
    const i = Number(span.dataset.token);
    const piece = pieces[i] === "" ? "part of a character" : JSON.stringify(pieces[i]);
    const told = `${piece}: source ${SOURCES[source[i]]}, p_y ${figure(p_y[i])}, D ${figure(deferral_mass[i])}; token ${i + 1} of ${pieces.length}`;
    token.replaceChildren();
    put(token, told);
    detail.querySelector(".told")?.classList.remove("told");
    span.classList.add("told");
  }

  function walk(event) {
    const span = event.target.closest("[data-token]");
    const goes = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity}[event.key];
    if (!span || goes === undefined) return;
    const all = [...span.parentElement.querySelectorAll("[data-token]")];
    const to = all[Math.max(0, Math.min(all.length - 1, Number(span.dataset.token) + goes))];
    event.preventDefault();
    span.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  }

  function roam(event) {
    const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
    const goes = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity}[event.key];
    if (goes === undefined) return;
    event.preventDefault();
    choose(chosen + goes);
    at(`row-${chosen}`)?.scrollIntoView({block: "nearest"}); // out from under #token
  }

  function listen() {
    let waiting = false;
    list.addEventListener("scroll", () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        build();
      });
    });
    list.addEventListener("keydown", roam);
    list.addEventListener("click", (event) => {
      const element = event.target.closest(".row");
      if (element) choose(Number(element.dataset.place));
    });
    for (const kind of ["focusin", "mouseover"]) {
      detail.addEventListener(kind, (event) => {
        const span = event.target.closest("[data-token]");
        if (span) tell(span);
      });
    }
    detail.addEventListener("click", (event) => event.target.closest("[data-token]")?.focus());
    detail.addEventListener("keydown", walk);
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    addEventListener("resize", build);
    addEventListener("beforeprint", () => at("printed").replaceChildren(...shown.map((i) => entry(i, merged))));
    addEventListener("afterprint", () => at("printed").replaceChildren());
  }

  async function open() {
    data = await unpack();
    for (const [place, select] of [left, right].entries()) {
      data.runs.forEach((label, i) => select.append(put(make("option"), label)) ?? (select.lastChild.value = i));
      select.value = Math.min(place, data.runs.length - 1);
    }
    for (const id of ["first", "second"]) at(id).hidden = isOne();
    for (const option of isOne() ? verdict.options : []) {
      option.textContent = option.value;
      option.hidden = ["helps", "harms"].includes(option.value);
    }
    const hasTraces = data.replies.flat().some((one) => one.trace);
    for (const element of [form, at("panes")]) element.hidden = false;
    for (const id of ["legend", "token"]) at(id).hidden = !hasTraces;
    listen();
    filter();
    at("browser").removeAttribute("aria-busy");
  }

  open().catch((reason) => {
    state.textContent = `The questions could not be unpacked: ${reason}. A browser of 2023 or later is needed.`;
  });
})();
