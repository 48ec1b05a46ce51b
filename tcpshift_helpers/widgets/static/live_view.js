
// The live view: each dot is a connection that was answered, or failed at the gateway.
const PLACES = { client: [80, 120], gateway: [310, 120], one: [540, 60], two: [540, 180] };
const TRAVEL_MILLISECONDS = 900;
const MOST_DOTS = 100;

function render({ model, el }) {
  const labels = model.get("labels");
  const root = sheet(model, el);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let isRunning = false;
  const timers = new Set();

  const button = element("button", { type: "button", click: () => press(!isRunning) }, labels.start);
  const state = element("span", { class: "state" }, labels.begun);
  const trouble = spokenLine();
  const said = spokenLine(5000);
  const counts = {};
  const dots = drawn("g", { class: "dots" });
  /** A connection's mark: its form tells it, too, and not its colour alone. */
  const shape = (answer, role) => {
    const look = { class: `${role} ${answer ?? "failure"}`, "data-answer": answer ?? "failure" };
    if (answer === null) return drawn("path", { ...look, d: "M-6,-6 L6,6 M-6,6 L6,-6" });
    if (answer === "two") return drawn("rect", { ...look, x: -6, y: -6, width: 12, height: 12 });
    return drawn("circle", { ...look, r: 7 });
  };
  const box = (name, ...lines) => {
    const [x, y] = PLACES[name];
    const area = { x: x - 62, y: y - 30, width: 124, height: 60 };
    const group = drawn("g", { class: `box ${name}` }, drawn("rect", area));
    if (name === "one" || name === "two") {
      // Colour and hatch of a surface are layers of a CSS background, which SVG's own forms have none of.
      const mark = shape(name, "mark");
      mark.setAttribute("transform", `translate(${x - 46},${y - 14})`);
      group.append(drawn("foreignObject", area, element("div", { class: `filled ${name}` })), mark);
    }
    lines.forEach((text, place) =>
      group.append(drawn("text", { x, y: y + (lines.length === 1 ? 5 : place * 20 - 5), "text-anchor": "middle" }, text)));
    return group;
  };
  const counted = (name) => (counts[name] = drawn("tspan", { class: `count ${name}` }, "0"));
  const link = (from, to) =>
    drawn("line", { x1: PLACES[from][0], y1: PLACES[from][1], x2: PLACES[to][0], y2: PLACES[to][1] });
  root.append(
    element("p", {}, button, " ", state),
    ...trouble.parts,
    drawn("svg", { viewBox: "0 0 620 240", "aria-hidden": "true" },
      link("client", "gateway"), link("gateway", "one"), link("gateway", "two"), dots,
      box("client", labels.client),
      box("gateway", labels.gateway, drawn("tspan", {}, counted("failed"), ` ${labels.failed}`)),
      box("one", "v1", drawn("tspan", {}, "one: ", counted("one"))),
      box("two", "v2", drawn("tspan", {}, "two: ", counted("two")))),
    ...said.parts,
  );

  /** Where a connection goes; what the course does not know ends at the gateway, as do failures. */
  const way = (answer) => [PLACES.client, PLACES.gateway, ...(answer in PLACES ? [PLACES[answer]] : [])];
  const go = (answer) => {
    if (dots.childElementCount >= MOST_DOTS) return;
    const dot = shape(answer, "dot");
    dots.append(dot);
    const places = way(answer);
    if (calm.matches) {
      // No movement: it stands where it ended, before the box, and goes.
      const [x, y] = places.at(-1);
      dot.setAttribute("transform", `translate(${x - 78},${y})`);
      later(() => dot.remove(), TRAVEL_MILLISECONDS);
      return;
    }
    const steps = places.map(([x, y]) => ({ transform: `translate(${x}px, ${y}px)` }));
    dot.animate(steps, { duration: TRAVEL_MILLISECONDS, fill: "both" }).finished.then(() => dot.remove(), () => dot.remove());
  };
  const later = (action, milliseconds) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      action();
    }, milliseconds);
    timers.add(timer);
  };
  const show = (runs) => {
    isRunning = runs;
    say(button, runs ? labels.pause : labels.start);
    say(state, runs ? labels.running : labels.paused);
  };
  const press = (wanted) => {
    show(wanted);
    connection.tell(wanted ? "start" : "pause");
  };

  const connection = line(model, {
    awaited: () => isRunning,
    hear(batch) {
      button.disabled = false;
      show(batch.running);
      batch.answers.forEach((answer, place) => later(() => go(answer), (place * batch.milliseconds) / batch.answers.length));
      for (const [word, count] of Object.entries(batch.counts)) say(counts[word], `${count}`);
      say(counts.failed, `${batch.failed}`);
      said.say(batch.said);
      if (batch.trouble !== null) trouble.say(batch.trouble);
    },
    silent(text, isOver) {
      show(false);
      button.disabled = isOver;
      trouble.say(text);
    },
  });
  return () => {
    for (const timer of timers) clearTimeout(timer);
    trouble.end();
    said.end();
    connection.end();
  };
}

export default { render };
