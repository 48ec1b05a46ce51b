
// The weight panel: v2's share to set, and beside it what arrives.
function render({ model, el }) {
  const labels = model.get("labels");
  const root = sheet(model, el);
  let isTouched = false;

  const slider = element("input", { type: "range", min: 0, max: 100, step: 1, value: 0, "aria-label": labels.share });
  const number = element("input", { type: "number", min: 0, max: 100, step: 1, value: 0, "aria-label": `${labels.share}, ${labels.exact}` });
  const apply = element("button", { type: "submit" }, labels.apply);
  const again = element("button", { type: "button", click: () => connection.tell("again") }, labels.again);
  const enable = (is) => {
    for (const control of [slider, number, apply, again]) control.disabled = !is;
  };
  // A share that was chosen before the kernel has said what is set would be lost.
  enable(false);
  const show = (percent) => {
    slider.value = number.value = percent;
    slider.setAttribute("aria-valuetext", `${slider.value}%`);
  };
  slider.addEventListener("input", () => {
    isTouched = true;
    show(slider.value);
  });
  number.addEventListener("input", () => {
    isTouched = true;
    slider.value = number.value;
  });
  const submit = (event) => {
    event.preventDefault();
    show(Math.min(100, Math.max(0, Math.round(Number(number.value) || 0))));
    isTouched = false;
    status.say(fill(labels.sending, { percent: number.value }));
    connection.tell("apply", { percent: Number(number.value) });
  };

  const setBar = element("div", { class: "filled two" });
  const observedBar = element("div", { class: "filled two" });
  const whisker = element("div", { class: "whisker" });
  const setText = element("span", { class: "set" }, labels.begun);
  const observedText = element("span", { class: "observed" });
  const word = element("strong", { class: "word" });
  const verdict = element("span", { class: "verdict" });
  const status = spokenLine(2000);
  // It scrolls, so that the keyboard must get there.
  const history = element("ol", { class: "history", tabindex: 0, "aria-label": labels.history });

  root.append(
    element("form", { submit }, element("label", {}, labels.share, slider), number, apply, again),
    ...status.parts,
    element("div", { class: "bars", "aria-hidden": "true" },
      element("span", {}, labels.set), element("div", { class: "bar" }, setBar),
      element("span", {}, labels.observed), element("div", { class: "bar" }, observedBar, whisker)),
    element("p", {}, setText),
    element("p", {}, observedText),
    element("p", {}, word, verdict),
    element("h5", {}, labels.history),
    history,
  );

  const connection = line(model, {
    awaited: () => true,
    hear(state) {
      enable(true);
      if (!isTouched && document.activeElement !== number) show(Math.round(state.set_percent));
      setBar.style.width = `${state.set_percent}%`;
      say(setText, state.set);
      say(observedText, state.observed);
      const [low, middle, high] = state.interval ?? [0, 0, 0];
      observedBar.style.width = `${middle}%`;
      whisker.hidden = !state.interval;
      whisker.style.left = `${low}%`;
      whisker.style.width = `${high - low}%`;
      say(word, state.word);
      // The word stands before it, in bold.
      say(verdict, state.verdict.slice(state.word.length));
      const notice = state.trouble || (state.in_force ? "" : labels.waiting);
      status.say(notice, notice || `${state.set} ${state.word}`);
      if (history.childElementCount !== state.history.length || history.firstChild?.textContent !== state.history[0])
        history.replaceChildren(...state.history.map((change) => element("li", {}, change)));
    },
    silent(text, isOver) {
      status.say(text);
      enable(!isOver);
    },
  });
  return () => {
    status.end();
    connection.end();
  };
}

export default { render };
