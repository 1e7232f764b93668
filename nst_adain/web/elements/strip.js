// The last results, to go back to; undo and redo; a link. `value` is the state of the controls, as text, of the result in view.
const KEY = "nst-adain", MOST = 12, STEPS = 100, SETTLED = 1000;
const find = (what) => element.querySelector(what), list = find("ol"), said = find("[role=status]");
const remembered = (() => { try { return JSON.parse(sessionStorage.getItem(KEY)) ?? {}; } catch { return {}; } })();
let results = remembered.results ?? [], steps = [], at = -1, timer = null;

const keep = () => {
  try { sessionStorage.setItem(KEY, JSON.stringify({now: props.value, results})); } catch { /* full, or forbidden */ }
};
const restore = (state) => trigger("restore", {state});
const draw = () => {
  list.replaceChildren(...results.map(({state, picture}, index) => {
    const item = document.createElement("li"), button = document.createElement("button"), image = new Image();
    image.src = picture;
    image.alt = "";
    button.type = "button";
    button.title = `Result ${index + 1}`;
    button.setAttribute("aria-label", button.title);
    button.setAttribute("aria-pressed", state === props.value);
    button.append(image);
    button.addEventListener("click", () => restore(state));
    item.append(button);
    return item;
  }));
  find("[name=undo]").disabled = at < 1;
  find("[name=redo]").disabled = at >= steps.length - 1;
};
const thumbnail = () => {
  const picture = document.querySelector(".comparison:not(.empty) .after"), canvas = document.createElement("canvas");
  if (!picture?.complete || !picture.naturalWidth) return null;
  const scale = 112 / Math.min(picture.naturalWidth, picture.naturalHeight);
  canvas.width = canvas.height = 112;
  const [w, h] = [picture.naturalWidth * scale, picture.naturalHeight * scale];
  canvas.getContext("2d").drawImage(picture, (112 - w) / 2, (112 - h) / 2, w, h);
  return canvas.toDataURL("image/jpeg", 0.8);
};
// What has been in view for a moment is a step to undo; what passes while a slider moves is none.
const settle = () => {
  timer = null;
  const state = props.value, picture = thumbnail();
  if (!state || !picture) return;
  if (steps[at] !== state) { steps = [...steps.slice(0, at + 1), state].slice(-STEPS); at = steps.length - 1; }
  if (!results.some((result) => result.state === state)) results = [...results, {state, picture}].slice(-MOST);
  keep();
  draw();
};
const go = (step) => {
  if (timer) { clearTimeout(timer); settle(); }
  if (steps[at + step] === undefined) return;
  at += step;
  restore(steps[at]);
  draw();
};
watch("value", () => {
  said.textContent = "";
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);  // it says other settings
  clearTimeout(timer);
  timer = setTimeout(settle, SETTLED);
});
addEventListener("pagehide", keep);
find("[name=undo]").addEventListener("click", () => go(-1));
find("[name=redo]").addEventListener("click", () => go(1));
document.addEventListener("keydown", (e) => {
  if (!(e.ctrlKey || e.metaKey) || e.altKey || e.target.closest("textarea, [contenteditable], input:not([type=range], [type=checkbox], [type=radio])")) return;
  const key = e.key.toLowerCase(), redo = key === "y" || (key === "z" && e.shiftKey);
  if (redo || key === "z") { e.preventDefault(); go(redo ? 1 : -1); }
});
// Files stay here: a link names samples and settings alone.
find("[name=link]").addEventListener("click", async () => {
  const {mask, photo, styles, ...settings} = JSON.parse(props.value || "{}");
  const sample = (file) => /[\\/]samples[\\/]([^\\/]+)\.png$/.exec(file ?? "")?.[1] ?? "";
  const words = new URLSearchParams({...settings, photo: sample(photo), styles: (styles ?? []).map(sample)});
  history.replaceState(null, "", `#${words}`);
  let copied = true;
  try { await navigator.clipboard.writeText(location.href); } catch { copied = false; }
  const own = [photo, ...(styles ?? [])].some((file) => file && !sample(file)) ? " Your own pictures are not in it." : "";
  said.textContent = (copied ? "The link is copied." : "The link is in the address bar.") + own;
});
draw();
