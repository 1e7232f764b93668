/** The page: connects its controls to the engine. */

import { Cancelled, Engine } from "./engine.js";
import { Live } from "./live.js";
import { register } from "./offline.js";
import { Shelf } from "./shelf.js";
import { Stage } from "./stage.js";

/** @typedef {import("./worker.js").Look} Look */

const AT_ONCE = 1_000_000; // pixels up to which a photograph is painted at its own size without being asked
const REST = 500; // milliseconds without a change after which that begins

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @returns {T}
 */
const find = (id) => /** @type {T} */ (document.getElementById(id));

/** @type {Record<"alpha" | "boldness" | "size" | "colors", HTMLInputElement>} */
const controls = { alpha: find("alpha"), boldness: find("boldness"), size: find("size"), colors: find("colors") };
/** @type {Record<"open" | "camera" | "still" | "record" | "save" | "cancel", HTMLButtonElement>} */
const buttons = {
	open: find("open"),
	camera: find("camera"),
	still: find("still"),
	record: find("record"),
	save: find("save"),
	cancel: find("cancel"),
};
const photoInput = /** @type {HTMLInputElement} */ (find("photo-file"));
const [note, progress, fps] = [find("note"), /** @type {HTMLProgressElement} */ (find("progress")), find("fps")];
const HINT = "Drag across the picture to compare. A photo can be dropped or pasted anywhere.";

const engine = new Engine();
const stage = new Stage();
const shelf = new Shelf((key, file) => engine.style(key, file), changed, failed);
const live = new Live(engine, stage, wanted, (message) => (fps.textContent = message));

/** @type {{ name: string, type: string, width: number, height: number } | undefined} */
let photo;
/** @type {Blob | undefined} What the full result is, until something changes. */
let full;
let [stale, painting, version] = [false, false, 0];
/** @type {{ version: number, done: Promise<Blob | undefined> } | undefined} */
let making;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let resting;

/** What the controls ask for. @returns {{ look: Look, size: number }} */
function wanted() {
	const look = {
		styles: shelf.weights(),
		alpha: Number(controls.alpha.value),
		boldness: Number(controls.boldness.value),
		ownColors: controls.colors.checked,
	};
	return { look, size: Number(controls.size.value) };
}

/** @param {unknown} error */
function failed(error) {
	if (error instanceof Cancelled) return;
	note.textContent = /** @type {Error} */ (error).message;
	note.classList.add("wrong");
}

/** @param {string} message */
function tell(message) {
	note.textContent = message;
	note.classList.remove("wrong");
}

/** Something was changed: paint again, and once more when nothing comes after. */
function changed() {
	full = undefined;
	version++;
	stale = true;
	engine.cancel();
	clearTimeout(resting);
	if (!live.running) repaint().catch(failed);
}

async function repaint() {
	if (painting || !photo || !shelf.weights().length) return;
	painting = true;
	try {
		while (stale && !live.running) {
			stale = false;
			const { look, size } = wanted();
			const picture = await engine.preview(look, size);
			if (!live.running) stage.draw(picture);
		}
	} finally {
		painting = false;
	}
	document.documentElement.dataset.painted = String(version);
	if (photo.width * photo.height <= AT_ONCE) resting = setTimeout(() => make().catch(failed), REST);
}

/** Paint at the photograph's own size, unless that is under way or done. */
async function make() {
	if (making && making.version !== version) await making.done.catch(() => {}); // of what was changed since
	if (full || !photo || live.running) return full;
	making ??= { version, done: paintFull(photo.type).finally(() => (making = undefined)) };
	return making.done;
}

/** @param {string} type */
async function paintFull(type) {
	const [asked, { look, size }] = [version, wanted()];
	const { file, bitmap } = await engine.full(look, size, type);
	if (asked !== version || live.running) return undefined;
	stage.drawBitmap(bitmap);
	full = file;
	document.documentElement.dataset.full = String(version);
	return full;
}

/** Paint at full size and save that, with a bar and a button to cancel in place of that to save. */
async function save() {
	const working = (/** @type {boolean} */ on) => {
		buttons.save.hidden = on || live.running;
		for (const each of [buttons.cancel, progress]) each.hidden = !on;
	};
	progress.value = 0;
	working(true);
	try {
		const file = await make();
		if (file) download(file, `${photo?.name}-painted`);
	} finally {
		working(false);
	}
}

/**
 * Hand a file to the visitor.
 * @param {Blob} file
 * @param {string} name
 */
function download(file, name) {
	const link = document.createElement("a");
	link.href = URL.createObjectURL(file);
	link.download = `${name}.${file.type.split("/")[1].replace("jpeg", "jpg")}`;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * Open a photograph.
 * @param {Blob} file
 * @param {string} name
 */
async function open(file, name) {
	await stopCamera();
	engine.cancel();
	tell("Reading the photograph");
	const { width, height } = await engine.photo(file);
	photo = { name: name.replace(/\.[^.]*$/, ""), type: file.type === "image/png" ? file.type : "image/jpeg", width, height };
	await stage.photograph(file);
	buttons.save.disabled = false;
	buttons.save.textContent = `Save ${width} × ${height}`;
	tell(HINT);
	changed();
}

async function toggleCamera() {
	if (live.running) return stopCamera();
	engine.cancel();
	await live.start();
	live.done?.catch(failed).finally(() => showCamera(false));
	showCamera(true);
}

async function stopCamera() {
	if (!live.running) return;
	await live.stop();
	stage.shape(photo?.width ?? 0, photo?.height ?? 0);
	changed();
}

/** @param {boolean} on */
function showCamera(on) {
	for (const each of [buttons.still, buttons.record, fps]) each.hidden = !on;
	buttons.save.hidden = on;
	buttons.camera.textContent = on ? "Stop camera" : "Camera";
	buttons.camera.classList.toggle("on", on);
	if (!on) fps.textContent = "";
	tell(on ? "The camera’s picture stays on this device." : HINT);
}

function toggleRecording() {
	if (live.recorder) live.recorder.stop();
	else live.record((file) => (download(file, "nst-adain-live"), showRecording(false)));
	showRecording(Boolean(live.recorder));
}

/** @param {boolean} on */
function showRecording(on) {
	buttons.record.textContent = on ? "Stop recording" : "Record";
	buttons.record.classList.toggle("on", on);
}

/** Say the value of each slider beside it. */
function tellValues() {
	const told = {
		alpha: `${Math.round(100 * Number(controls.alpha.value))} %`,
		boldness: `${Math.round(100 * Number(controls.boldness.value))} %`,
		size: { 128: "finest", 512: "as the style" }[controls.size.value] ?? `${controls.size.value} px`,
	};
	for (const [name, text] of Object.entries(told)) {
		const output = controls[/** @type {"alpha"} */ (name)].parentElement?.querySelector(".value");
		if (output) output.textContent = text;
	}
}

/** Take pictures that are dropped or pasted. */
function takePictures() {
	/** @param {Iterable<File> | undefined} files @param {EventTarget | null} target */
	const take = (files, target) => {
		const pictures = [...(files ?? [])].filter(({ type }) => type.startsWith("image/"));
		if (!pictures.length) return;
		const onShelf = target instanceof Node && shelf.place.parentElement?.contains(target);
		if (onShelf) for (const each of pictures) shelf.add(each);
		else open(pictures[0], pictures[0].name).catch(failed);
	};
	document.addEventListener("paste", ({ clipboardData, target }) => take(clipboardData?.files, target));
	document.addEventListener("dragover", (event) => (event.preventDefault(), document.body.classList.add("dragging")));
	document.addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || document.body.classList.remove("dragging"));
	document.addEventListener("drop", (event) => {
		event.preventDefault();
		document.body.classList.remove("dragging");
		take(event.dataTransfer?.files, event.target);
	});
	photoInput.addEventListener("change", () => {
		take(photoInput.files ?? undefined, null);
		photoInput.value = "";
	});
}

function connect() {
	for (const control of Object.values(controls)) control.addEventListener("input", () => (tellValues(), changed()));
	buttons.open.addEventListener("click", () => photoInput.click());
	buttons.camera.addEventListener("click", () => toggleCamera().catch(failed));
	buttons.still.addEventListener("click", () => live.still().then((file) => download(file, "nst-adain-still")).catch(failed));
	buttons.record.addEventListener("click", toggleRecording);
	buttons.cancel.addEventListener("click", () => engine.cancel());
	buttons.save.addEventListener("click", () => save().catch(failed));
	engine.onprogress = (share) => (progress.value = share);
	takePictures();
	tellValues();
}

async function begin() {
	if (await register()) return;
	const site = await (await fetch("site.json")).json();
	const first = await (await fetch(site.photo)).blob();
	await stage.photograph(first);
	for (const [name, url] of Object.entries(site.styles)) shelf.put(name, name.replace("_", " "), url);
	const { boldness, style_size: styleSize } = site.numbers;
	controls.boldness.value = String(boldness ?? 0);
	/** @type {HTMLElement} */ (controls.boldness.parentElement).hidden = boldness === null;
	controls.size.value = controls.size.max = String(styleSize);
	connect();
	const query = new URLSearchParams(location.search);
	const { backend, threads } = await engine.start({ site, wanted: { runtime: query.get("runtime"), threads: query.get("threads") } });
	find("engine").textContent = backend === "WebGPU" ? backend : `WebAssembly, ${threads} thread${threads > 1 ? "s" : ""}`;
	await open(first, site.photo.split("/").pop());
	await shelf.choose([{ key: site.first, weight: 50 }]);
}

begin().catch(failed);
