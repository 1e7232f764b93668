// Buttons of which one was chosen.
element.addEventListener("click", (e) => {
  const button = e.target.closest("button");
  if (button) trigger("click", {name: button.name});
});
