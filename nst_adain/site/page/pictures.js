/** Pictures in memory: bytes as a canvas has them, windows of them as planes of numbers, and tiles that cover them. */

import { lanczos, round, scaled } from "./resampling.js";

/**
 * @typedef {import("./resampling.js").Planes} Planes
 * @typedef {import("./resampling.js").Line} Line
 * @typedef {import("./resampling.js").Size} Size
 * @typedef {{ data: Uint8ClampedArray, height: number, width: number }} Picture RGBA, as in ImageData.
 * @typedef {{ rows: Line, columns: Line }} Area
 * @typedef {{ inner: Area, outer: Area }} Tile What a tile makes, and what it reads: the same with its surroundings.
 */

export const TILE = 512; // pixels a side: of more, features would take hundreds of megabytes
const SAMPLE = 1024; // pixels from one sample of a large picture to the next
const STEP = 4; // the most that a picture is brought up at once
const STRIP = 64; // rows of a reduced picture to make at once

/**
 * @param {number} height
 * @param {number} width
 * @returns {Area}
 */
export function whole(height, width) {
	return { rows: { start: 0, end: height }, columns: { start: 0, end: width } };
}

/**
 * Read a window as planes of red, green and blue.
 * @param {Picture} picture
 * @param {Line} rows
 * @param {Line} columns
 * @returns {Planes}
 */
export function read({ data, width }, rows, columns) {
	const [high, wide] = [rows.end - rows.start, columns.end - columns.start];
	const planes = new Float32Array(3 * high * wide);
	for (let y = 0; y < high; y++) {
		let from = ((rows.start + y) * width + columns.start) * 4;
		for (let to = y * wide; to < (y + 1) * wide; to++, from += 4) {
			planes[to] = data[from] / 255;
			planes[high * wide + to] = data[from + 1] / 255;
			planes[2 * high * wide + to] = data[from + 2] / 255;
		}
	}
	return { data: planes, channels: 3, height: high, width: wide };
}

/**
 * Write planes into a picture; the array rounds and clamps to bytes.
 * @param {Picture} picture
 * @param {Planes | import("./resampling.js").Scaled} planes
 * @param {number} top
 * @param {number} left
 */
export function write(picture, { data, height, width }, top, left) {
	for (let y = 0; y < height; y++) {
		let to = ((top + y) * picture.width + left) * 4;
		for (let from = y * width; from < (y + 1) * width; from++, to += 4) {
			picture.data[to] = data[from] * 255;
			picture.data[to + 1] = data[height * width + from] * 255;
			picture.data[to + 2] = data[2 * height * width + from] * 255;
			picture.data[to + 3] = 255;
		}
	}
}

/**
 * @param {number} height
 * @param {number} width
 * @returns {Picture}
 */
export function empty(height, width) {
	return { data: new Uint8ClampedArray(height * width * 4), height, width };
}

/**
 * @param {number} channels
 * @param {Size} size
 * @returns {Planes}
 */
export function blank(channels, [height, width]) {
	return { data: new Float32Array(channels * height * width), channels, height, width };
}

/**
 * Put a window into planes: what `cut` takes out.
 * @param {Planes} planes
 * @param {Planes} window
 * @param {number} top
 * @param {number} left
 */
export function paste(planes, { data, channels, height, width }, top, left) {
	for (let row = 0; row < channels * height; row++) {
		const to = Math.floor(row / height) * planes.height + top + (row % height);
		planes.data.set(data.subarray(row * width, (row + 1) * width), to * planes.width + left);
	}
}

/**
 * Take a window of planes.
 * @param {Planes} planes
 * @param {Line} rows
 * @param {Line} columns
 * @returns {Planes}
 */
export function cut({ data, channels, height, width }, rows, columns) {
	const [high, wide] = [rows.end - rows.start, columns.end - columns.start];
	if (high === height && wide === width) return { data, channels, height, width };
	const made = new Float32Array(channels * high * wide);
	for (let channel = 0; channel < channels; channel++) {
		for (let y = 0; y < high; y++) {
			const from = (channel * height + rows.start + y) * width + columns.start;
			made.set(data.subarray(from, from + wide), (channel * high + y) * wide);
		}
	}
	return { data: made, channels, height: high, width: wide };
}

/**
 * Scale a picture down.
 * @param {Picture} picture
 * @param {Size} size
 * @returns {Picture}
 */
export function reduced(picture, [height, width]) {
	const small = empty(height, width);
	for (let top = 0; top < height; top += STRIP) {
		const rows = { start: top, end: Math.min(top + STRIP, height) };
		/** @type {import("./resampling.js").Read} */
		const source = (down, right) => read(picture, down, right);
		const columns = { start: 0, end: width };
		write(small, scaled(source, [picture.height, picture.width], [height, width], rows, columns, lanczos), top, 0);
	}
	return small;
}

/**
 * The sizes in which a picture is rendered one after the other: first that at which it gets its look, last its own.
 * @param {Size} size
 * @param {number} look short side of the first, if the picture is larger
 * @returns {Size[]}
 */
export function sizesUpTo(size, look) {
	const [short, long] = [...size].sort((a, b) => a - b);
	const side = Math.max(1, Math.floor(Math.min(short, look, Math.sqrt((2 * look ** 2 * short) / long))));
	/** @type {(scale: number) => Size} */
	const at = (scale) => [Math.max(1, round(size[0] * scale)), Math.max(1, round(size[1] * scale))];
	const first = at(side / short);
	const ratio = short / Math.min(...first);
	const steps = Math.max(0, Math.ceil(Math.log(ratio) / Math.log(STEP) - 0.02)); // three hundredths more than a step are none
	if (steps === 0) return [size];
	const between = Array.from({ length: steps - 1 }, (_, step) => at(ratio ** ((step + 1) / steps - 1)));
	return [first, ...between, size];
}

/**
 * Cover a picture with tiles, row by row; one that fits is one tile.
 * @param {Size} size
 * @param {number} surroundings pixels to read round each tile
 * @returns {Tile[]}
 */
export function tiles([height, width], surroundings) {
	const side = height * width <= TILE * TILE ? Infinity : TILE;
	/** @type {Tile[]} */
	const cover = [];
	for (const rows of cuts(height, side)) {
		for (const columns of cuts(width, side)) {
			const outer = { rows: widened(rows, surroundings, height), columns: widened(columns, surroundings, width) };
			cover.push({ inner: { rows, columns }, outer });
		}
	}
	return cover;
}

/**
 * Cover a quarter of a large picture with squares at equal distances: enough for its statistics.
 * @param {Size} size
 * @returns {Tile[]}
 */
export function samples(size) {
	const [down, right] = size.map((side) => {
		/** @type {Line[]} */
		const lines = [];
		for (let at = Math.floor(Math.min(SAMPLE, side) / 4); at < side; at += SAMPLE) {
			lines.push({ start: at, end: Math.min(at + SAMPLE / 2, side) });
		}
		return lines;
	});
	return down.flatMap((rows) => right.map((columns) => ({ inner: { rows, columns }, outer: { rows, columns } })));
}

/**
 * @param {number} length
 * @param {number} side
 * @returns {Line[]}
 */
function cuts(length, side) {
	if (side >= length) return [{ start: 0, end: length }];
	return Array.from({ length: Math.ceil(length / side) }, (_, i) => ({ start: i * side, end: Math.min((i + 1) * side, length) }));
}

/**
 * @param {Line} line
 * @param {number} by
 * @param {number} length
 * @returns {Line}
 */
export function widened({ start, end }, by, length) {
	return { start: Math.max(0, start - by), end: Math.min(length, end + by) };
}
