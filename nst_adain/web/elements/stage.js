// The result, with the photograph over as much of it as the user chooses, and a canvas to paint on.
const find = (what) => element.querySelector(what), canvas = find("canvas"), cut = find("[name=cut]"), pen = canvas.getContext("2d");

// Comparing: a drag on the picture, the arrow keys, the button, and the space bar wherever it does nothing else.
const compare = () => element.style.setProperty("--cut", `${cut.value}%`);
const flip = () => { cut.value = cut.value > 50 ? 0 : 100; compare(); };
cut.addEventListener("input", compare);
find("[name=flip]").addEventListener("click", flip);
document.addEventListener("keydown", (e) => {
  const busy = e.target.closest("button, a, summary, select, textarea, [contenteditable], [role=tab], input:not([type=range]), canvas");
  if (e.key === " " && !busy && element.getClientRects().length) { e.preventDefault(); flip(); }
});
if (!document.fullscreenEnabled) find("[name=full]").remove();  // iPhones
else find("[name=full]").addEventListener("click", () => document.fullscreenElement ? document.exitFullscreen() : element.requestFullscreen());

// Painting: the value is {of: the photograph's file, url: what is painted}, or "" for nothing.
const brush = () => find("[name=brush]:checked") ?? find("[name=brush]"), erases = () => find("[name=erase]").checked;
const width = () => find("[name=size]").value / 100 * Math.min(canvas.width, canvas.height);
const place = (e) => [e.offsetX * canvas.width / canvas.clientWidth, e.offsetY * canvas.height / canvas.clientHeight];
const wipe = () => { pen.globalCompositeOperation = "source-over"; pen.clearRect(0, 0, canvas.width, canvas.height); };
const tell = () => { props.value = {of: props.of, url: canvas.toDataURL()}; trigger("input"); };
const cover = (how) => { pen.globalCompositeOperation = how; pen.fillStyle = brush().value; pen.fillRect(0, 0, canvas.width, canvas.height); tell(); };
const show = () => {
  wipe();
  if (!props.value?.url || props.value.of !== props.of) return;
  const image = new Image();
  image.onload = () => { wipe(); pen.drawImage(image, 0, 0, canvas.width, canvas.height); };
  image.src = props.value.url;
};
let last = null;
const stroke = (to) => {
  pen.globalCompositeOperation = erases() ? "destination-out" : "source-over";
  pen.lineWidth = width();
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = pen.fillStyle = brush().value;
  pen.beginPath();
  pen.moveTo(...last);
  pen.lineTo(...(last = to));
  pen.stroke();
  pen.beginPath();  // a line without length is nothing in some browsers, and a click is to be a dot
  pen.arc(...last, pen.lineWidth / 2, 0, 2 * Math.PI);
  pen.fill();
};
const lift = () => { if (last) { last = null; tell(); } };
canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); last = place(e); stroke(last); });
canvas.addEventListener("pointermove", (e) => last && stroke(place(e)));
canvas.addEventListener("pointerup", lift);
canvas.addEventListener("pointercancel", lift);

// By keyboard: the arrow keys move a spot, space and Enter paint there.
let spot = null;
canvas.addEventListener("keydown", (e) => {
  const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[e.key];
  if (!step && e.key !== " " && e.key !== "Enter") return;
  e.preventDefault();
  spot ??= [canvas.width / 2, canvas.height / 2];
  if (step) spot = [0, 1].map((k) => Math.min(Math.max(spot[k] + step[k] * width() / 2, 0), [canvas.width, canvas.height][k]));
  else { last = spot; stroke(spot); lift(); }
  element.style.setProperty("--x", `${100 * spot[0] / canvas.width}%`);
  element.style.setProperty("--y", `${100 * spot[1] / canvas.height}%`);
});

// The pointer is a ring of the brush's size and colour.
const point = () => {
  const side = Math.min(120, Math.max(6, find("[name=size]").value / 100 * Math.min(canvas.clientWidth, canvas.clientHeight)));
  const color = encodeURIComponent(erases() ? "#ffffff" : brush().value), r = side / 2;
  const ring = (stroke, wide) => `%3Ccircle cx='${r}' cy='${r}' r='${r - 2}' fill='none' stroke='${stroke}' stroke-width='${wide}'/%3E`;
  const svg = `%3Csvg xmlns='http://www.w3.org/2000/svg' width='${side}' height='${side}'%3E${ring("black", 3)}${ring(color, 1.5)}%3C/svg%3E`;
  element.style.setProperty("--pointer", `url("data:image/svg+xml,${svg}") ${r} ${r}, crosshair`);
  element.style.setProperty("--ring", `${side}px`);
};
canvas.addEventListener("pointerenter", point);
canvas.addEventListener("focus", point);
element.addEventListener("input", (e) => {
  if (e.target.name === "opacity") element.style.setProperty("--opacity", `${e.target.value}%`);
  point();
});
find("[name=fill]").addEventListener("click", () => cover("destination-over"));
find("[name=invert]").addEventListener("click", () => cover("source-out"));
find("[name=clear]").addEventListener("click", () => { wipe(); props.value = ""; trigger("input"); });
watch(["value", "of", "width", "height"], show);
