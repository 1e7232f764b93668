/** Does the page's work away from its controls, one thing after the other: reads pictures, encodes, paints, and writes files. */

import { Model, release } from "./model.js";
import { finished, mixture, openContent, paint, paintSmall } from "./paint.js";
import { cut, empty, read, whole, write } from "./pictures.js";
import { loadRuntime } from "./runtime.js";
import { atMost } from "./shrinking.js";
import { Smoothed } from "./statistics.js";

/**
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {{ styles: { key: string, weight: number }[], alpha: number, boldness: number, ownColors: boolean }} Look
 * @typedef {{ data: Uint8ClampedArray<ArrayBuffer>, height: number, width: number }} Shown
 * @typedef {ReturnType<typeof openContent> extends Promise<infer T> ? T : never} Content
 */

const STEADINESS = 0.7; // the share of the past in a camera's statistics, as for videos
const LARGEST = 50_000_000; // pixels: a picture has 4 bytes for each, and so has its result
const SHOWN = 1600; // pixels: the longer side of what is shown of a full result

/** @type {Model} */
let model;
/** @type {Content | undefined} */
let content;
/** @type {Map<string, { picture: Picture, encoded: Map<number, import("./statistics.js").Stats> }>} */
const styles = new Map();
let smoothed = new Smoothed(STEADINESS);
let cancelled = false;

/** What the page can ask for. */
const jobs = {
	/** @param {{ site: any, wanted: import("./runtime.js").Wanted }} given */
	async start({ site, wanted }) {
		let runtime = await loadRuntime(site.runtime, wanted);
		try {
			model = await Model.load(runtime, site.numbers, "model");
		} catch (error) {
			if (runtime.backend === "WASM") throw error;
			runtime = await loadRuntime(site.runtime, { ...wanted, runtime: "wasm" }); // a GPU that cannot run the model
			model = await Model.load(runtime, site.numbers, "model");
		}
		return { backend: runtime.backend, threads: runtime.threads };
	},

	/** @param {{ file: Blob }} given */
	async photo({ file }) {
		const picture = await opened(file);
		if (content) release(content.features);
		content = await openContent(model, picture);
		return { height: picture.height, width: picture.width };
	},

	/** @param {{ key: string, file: Blob }} given */
	async style({ key, file }) {
		styles.set(key, { picture: await opened(file), encoded: new Map() });
	},

	/** @param {{ look: Look, size: number }} given */
	async preview({ look, size }) {
		if (!content) throw new Error("expected a photograph, found none");
		const planes = await paintSmall(model, content, await mixed(look, size), look);
		return shown(finished(planes, content.levels[0], look.ownColors));
	},

	/** @param {{ look: Look, size: number, type: string }} given */
	async full({ look, size, type }) {
		if (!content) throw new Error("expected a photograph, found none");
		const result = await paint(model, content, await mixed(look, size), look, async (done, of) => {
			self.postMessage({ progress: done / of });
			await pause();
			if (cancelled) throw new DOMException("cancelled", "AbortError");
		});
		const canvas = drawn(result);
		const scale = Math.min(1, SHOWN / Math.max(result.height, result.width));
		const [resizeWidth, resizeHeight] = [result.width, result.height].map((side) => Math.max(1, Math.round(side * scale)));
		const bitmap = await createImageBitmap(canvas, { resizeWidth, resizeHeight, resizeQuality: "high" });
		return { file: await canvas.convertToBlob({ type, quality: 0.95 }), bitmap };
	},

	/** @param {{ bitmap: ImageBitmap, look: Look, size: number, first: boolean }} given */
	async frame({ bitmap, look, size, first }) {
		const picture = pixelsOf(bitmap, bitmap.width, bitmap.height);
		bitmap.close();
		if (first) smoothed = new Smoothed(STEADINESS);
		const { rows, columns } = whole(picture.height, picture.width);
		const { features, stats } = await model.encode(read(picture, rows, columns));
		const own = await model.code(smoothed.add(stats), look.boldness);
		const planes = await model.decode(features, own, await mixed(look, size), look.alpha, look.boldness);
		release(features);
		return shown(finished(cut(planes, rows, columns), picture, look.ownColors));
	},
};

/**
 * Encode the styles of a look, unless they are, and mix their codes.
 * @param {Look} look
 * @param {number} size the short side to which larger styles are reduced
 */
async function mixed(look, size) {
	const found = [];
	for (const { key, weight } of look.styles) {
		const style = styles.get(key);
		if (!style) throw new Error(`style: expected one that was opened, found ${key}`);
		let stats = style.encoded.get(size);
		if (!stats) {
			const small = atMost(style.picture, size);
			const { rows, columns } = whole(small.height, small.width);
			const encoded = await model.encode(read(small, rows, columns));
			release(encoded.features);
			stats = encoded.stats;
			style.encoded.set(size, stats);
		}
		found.push({ stats, weight });
	}
	return mixture(model, found, look.boldness);
}

/**
 * Read a picture from a file, upright, on white where it is transparent.
 * @param {Blob} file
 */
async function opened(file) {
	const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => {
		throw new Error("expected a picture that this browser can open, found another file");
	});
	const { width, height } = bitmap;
	if (width * height > LARGEST) {
		throw new Error(`expected at most ${LARGEST / 1e6} megapixels, found ${Math.round((width * height) / 1e6)}`);
	}
	const picture = pixelsOf(bitmap, width, height);
	bitmap.close();
	return picture;
}

/**
 * @param {ImageBitmap} bitmap
 * @param {number} width
 * @param {number} height
 * @returns {Picture}
 */
function pixelsOf(bitmap, width, height) {
	const context = contextOf(new OffscreenCanvas(width, height));
	context.fillStyle = "white";
	context.fillRect(0, 0, width, height);
	context.drawImage(bitmap, 0, 0);
	return context.getImageData(0, 0, width, height);
}

/** @param {Picture} picture */
function drawn(picture) {
	const canvas = new OffscreenCanvas(picture.width, picture.height);
	const data = /** @type {Uint8ClampedArray<ArrayBuffer>} */ (picture.data);
	contextOf(canvas).putImageData(new ImageData(data, picture.width, picture.height), 0, 0);
	return canvas;
}

/** @param {OffscreenCanvas} canvas */
function contextOf(canvas) {
	const context = canvas.getContext("2d", { willReadFrequently: true });
	if (!context) throw new Error("canvas: expected one of this size, found none; take a smaller picture");
	return context;
}

/**
 * @param {import("./resampling.js").Planes} planes
 * @returns {Shown}
 */
function shown(planes) {
	const picture = empty(planes.height, planes.width);
	write(picture, planes, 0, 0);
	return /** @type {Shown} */ (picture);
}

/** Let messages come in. */
function pause() {
	return new Promise((resolve) => {
		const { port1, port2 } = new MessageChannel();
		port1.onmessage = () => {
			port1.close();
			resolve(undefined);
		};
		port2.postMessage(undefined);
	});
}

/** @type {Promise<void>} */
let last = Promise.resolve();

self.onmessage = ({ data: { id, name, given } }) => {
	if (name === "cancel" || name === "full") cancelled = name === "cancel"; // of what was asked before, begun or not
	if (name === "cancel") return;
	last = last.then(async () => {
		try {
			const value = await jobs[/** @type {keyof typeof jobs} */ (name)](given);
			self.postMessage({ id, value }, { transfer: carried(value) });
		} catch (error) {
			self.postMessage({ id, error: String(/** @type {Error} */ (error).message), cancelled: isAbort(error) });
		}
	});
};

/** @param {unknown} error */
function isAbort(error) {
	return error instanceof DOMException && error.name === "AbortError";
}

/**
 * What is handed over instead of copied.
 * @param {any} value
 * @returns {Transferable[]}
 */
function carried(value) {
	return [value?.data?.buffer, value?.bitmap].filter(Boolean);
}
