
// Progress: a bar and a line for each lesson, its checks folded below.
function render({ model, el }) {
  const labels = model.get("labels");
  const root = sheet(model, el);
  const again = element("button", { type: "button", click: () => connection.tell("again") }, labels.again);
  const status = spokenLine();
  const lessons = element("ul", { class: "lessons" });
  root.append(element("p", {}, labels.note), element("p", {}, again), ...status.parts, lessons);

  const item = () => {
    const meter = element("meter", { min: 0 });
    const summary = element("summary", {});
    const checks = element("ul", {});
    return { root: element("li", {}, meter, element("details", {}, summary, checks)), meter, summary, checks };
  };
  const items = [];
  const connection = line(model, {
    // The checks of all lessons take some seconds; each tells when it is done.
    hear(state) {
      again.disabled = state.busy;
      status.say(state.busy ? labels.busy : labels.done);
      state.lessons.forEach((lesson, place) => {
        if (!items[place]) {
          items[place] = item();
          lessons.append(items[place].root);
        }
        const { meter, summary, checks } = items[place];
        meter.max = lesson.of;
        meter.value = lesson.passed;
        meter.setAttribute("aria-label", lesson.line);
        say(summary, lesson.line);
        checks.replaceChildren(...lesson.checks.map((check) => element("li", {}, element("pre", {}, check.text))));
      });
    },
    silent(text, isOver) {
      again.disabled = isOver;
      status.say(text);
    },
  });
  return () => {
    status.end();
    connection.end();
  };
}

export default { render };
