
// Predict, then run: an answer that is locked before the outcome is known.
let questions = 0;

function render({ model, el }) {
  const labels = model.get("labels");
  const root = sheet(model, el);
  const name = `tcpshift-question-${(questions += 1)}`;
  const [least, most, step] = model.get("bounds");
  const said = spokenLine();
  const inputs = model.get("choices").map((choice) => element("input", { type: "radio", name, value: choice, required: true }));
  const number = element("input", { type: "number", min: least, max: most, step, required: true, "aria-label": labels.number });
  const lock = element("button", { type: "submit" }, labels.lock);
  const submit = (event) => {
    event.preventDefault();
    const answer = inputs.length ? inputs.find((input) => input.checked).value : Number(number.value);
    connection.tell("lock", { answer });
  };
  const possible = inputs.length ? inputs.map((input) => element("label", { class: "choice" }, input, input.value)) : [number];
  root.append(
    element("form", { submit }, element("fieldset", {}, element("legend", {}, model.get("question")), ...possible), lock),
    ...said.parts,
  );

  const connection = line(model, {
    hear(state) {
      for (const input of inputs) if (state.locked) input.checked = input.value === state.answer;
      if (state.locked && state.answer !== null) number.value = state.answer;
      for (const control of [...inputs, number, lock]) control.disabled = state.locked;
      said.say(state.said);
    },
    silent: (text) => said.say(text),
  });
  return () => {
    said.end();
    connection.end();
  };
}

export default { render };
