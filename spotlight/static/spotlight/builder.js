// The builder of profiles: removes a line of criteria, and shows the fields of the trial that their rules show.
(function () {
  "use strict";

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-remove]");
    if (!button) return;
    const line = button.closest("[data-criterion]");
    const neighbour = line.nextElementSibling || line.previousElementSibling;
    line.remove();
    const next = neighbour ? neighbour.querySelector("select") : document.getElementById("add-criterion");
    if (next) next.focus();
    document.body.dispatchEvent(new CustomEvent("criteria-changed"));
  });

  // Nothing of a trial is sent off by the Enter key.
  document.addEventListener("submit", (event) => {
    if (event.target.id === "try-form") event.preventDefault();
  });

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "criteria-lines" && event.target.lastElementChild && !event.target.contains(document.activeElement)) {
      const first = event.target.lastElementChild.querySelector("select");
      if (first) first.focus();
    }
    if (event.target.id !== "tried") return;
    const states = event.target.querySelector("[data-states]");
    if (!states) return;
    for (const [name, state] of Object.entries(JSON.parse(states.dataset.states))) {
      const field = document.querySelector(`[data-try-field="${CSS.escape(name)}"]`);
      if (!field) continue;
      field.hidden = !state.visible;
      field.querySelector("[data-try-required]").hidden = !state.required;
    }
  });
})();
