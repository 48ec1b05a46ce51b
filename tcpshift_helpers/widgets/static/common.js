// What all widgets of the course share. Python joins this file and a widget's own into one module.

/** An element with attributes (those that are functions are listeners) and children. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** An element of SVG. */
function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A message with its fields filled in. */
function fill(message, fields) {
  return message.replace(/\{(\w+)\}/g, (_all, name) => fields[name]);
}

/** Sets a text, and leaves the page alone where it is there already. */
function say(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

/** The sheet that a widget is drawn on: the palette, the language, a heading, and no shortcuts of JupyterLab inside. */
function sheet(model, el) {
  const labels = model.get("labels");
  const root = element("section", {
    class: "tcpshift",
    lang: model.get("lang"),
    "aria-label": labels.title,
    "data-lm-suppress-shortcuts": "true",
    // Or JupyterLab takes the arrows that are meant for a slider.
    keydown: (event) => event.stopPropagation(),
  });
  for (const [name, value] of Object.entries(model.get("looks"))) root.style.setProperty(name, value);
  root.append(element("h4", {}, labels.title));
  el.replaceChildren(root);
  return root;
}

/** A line that is shown at once, and read out (or another text in its place) no oftener than every `milliseconds`. */
function spokenLine(milliseconds = 0) {
  const shown = element("p", { class: "said", "aria-hidden": "true" });
  const spoken = element("p", { class: "only-spoken", role: "status", "aria-live": "polite" });
  let timer = null;
  let spokenAt = -Infinity;
  let words = "";
  const speak = () => {
    timer = null;
    spokenAt = performance.now();
    say(spoken, words);
  };
  return {
    parts: [shown, spoken],
    say(text, aloud = text) {
      say(shown, text);
      words = aloud;
      timer ??= setTimeout(speak, Math.max(0, spokenAt + milliseconds - performance.now()));
    },
    end: () => clearTimeout(timer),
  };
}

// Longer than the kernel waits for an API server that may be restarting (6 s); that its own process is gone is known at once.
const SILENCE_MILLISECONDS = 10000;
// Often enough for a kernel that stops probing after half a minute without a word.
const HERE_MILLISECONDS = 5000;

/**
 * The line to the kernel: `hear` gets each message. Where a word was sent, or `awaited()` says that more has to come, and
 * nothing arrives for some seconds, or the kernel lets go, `silent` is called with what to say. The kernel learns in turn
 * that somebody looks, and when the page is closed.
 */
function line(model, { hear, silent, awaited = () => false }) {
  const labels = model.get("labels");
  let heardAt = performance.now();
  let waits = false;
  let hasEnded = false;
  const onMessage = (message) => {
    heardAt = performance.now();
    waits = false;
    if (message.kind === "closed") {
      hasEnded = true;
      silent(labels.closed, true);
    } else hear(message);
  };
  const onLive = () => {
    if (!hasEnded) silent(labels.silent, false);
  };
  const watch = setInterval(() => {
    const late = performance.now() - heardAt > SILENCE_MILLISECONDS;
    if (!hasEnded && !document.hidden && (waits || awaited()) && late) silent(labels.silent, false);
  }, 500);
  const send = (content) => {
    try {
      model.send(content);
    } catch {
      // There is no kernel to tell any more, which `silent` says.
    }
  };
  const here = () => {
    if (!hasEnded && !document.hidden && awaited()) send({ kind: "here" });
  };
  const beat = setInterval(here, HERE_MILLISECONDS);
  const onVisibility = () => {
    heardAt = performance.now();
    here();
  };
  const leave = () => send({ kind: "leave" });
  document.addEventListener("visibilitychange", onVisibility);
  window.addEventListener("pagehide", leave);
  model.on("msg:custom", onMessage);
  model.on("comm_live_update", onLive);
  const tell = (kind, fields = {}) => {
    if (!waits) heardAt = performance.now();
    waits = true;
    send({ kind, ...fields });
  };
  tell("hello");
  return {
    tell,
    end() {
      clearInterval(watch);
      clearInterval(beat);
      document.removeEventListener("visibilitychange", onVisibility);
      window.removeEventListener("pagehide", leave);
      model.off("msg:custom", onMessage);
      model.off("comm_live_update", onLive);
      leave();
    },
  };
}
