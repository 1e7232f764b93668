/**
 * Brings a small result up to the size of its photograph, in the photograph's edges.
 *
 * He & Sun 2015, https://arxiv.org/abs/1505.00996: in each neighbourhood of 3 x 3 pixels of the small pair, each channel of the
 * result is fitted as a * photograph + b; a and b, enlarged, are applied to the large photograph.
 */

import { cut, read, widened } from "./pictures.js";
import { needed, round, scaled } from "./resampling.js";

/**
 * @typedef {import("./resampling.js").Planes} Planes
 * @typedef {import("./resampling.js").Scaled} Scaled
 * @typedef {import("./resampling.js").Line} Line
 * @typedef {import("./resampling.js").Size} Size
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {import("./pictures.js").Area} Area
 */

const MULTIPLE = 8;
const EPS = 1e-4; // added to the variance of the photograph: where it varies less than by 0.01, the result is smooth
const KEPT = 0.9; // of the coarser result's frequencies: with all of them its single pixels show, enlarged

/** A small result at the size of its photograph, made where it is read. */
export class Guided {
	/**
	 * @param {Picture} photo
	 * @param {Picture} small the same photograph, reduced
	 * @param {Planes} result the result for that, not in bytes: one rounded another way would become a dozen levels in the next
	 */
	constructor(photo, small, result) {
		this.photo = photo;
		this.small = small;
		this.result = result;
		/** @type {Size} */
		this.size = [photo.height, photo.width];
		/** @type {Size} */
		this.coarse = [small.height, small.width];
		/** @type {Size} */
		this.kept = [Math.max(1, round(small.height * KEPT)), Math.max(1, round(small.width * KEPT))];
		const cell = Math.max(photo.height / this.kept[0], photo.width / this.kept[1]);
		this.margin = Math.ceil((2 * cell + 2) / MULTIPLE) * MULTIPLE; // pixels round a tile on which `settled` depends
	}

	/**
	 * Read a window of the enlarged result.
	 * @param {Line} rows
	 * @param {Line} columns
	 * @returns {Planes}
	 */
	read(rows, columns) {
		const fitted = scaled((down, right) => this.fitted(down, right), this.coarse, this.size, rows, columns);
		const planes = read(this.photo, rows, columns);
		const count = planes.data.length;
		for (let i = 0; i < count; i++) {
			const value = fitted.data[count + i] + fitted.data[i] * planes.data[i];
			planes.data[i] = Math.min(Math.max(value, 0), 1);
		}
		return planes;
	}

	/**
	 * Fit the result to the small photograph: three slopes and three offsets for each place of a window.
	 * @param {Line} rows
	 * @param {Line} columns
	 * @returns {Planes}
	 */
	fitted(rows, columns) {
		const [down, right] = [widened(rows, 2, this.coarse[0]), widened(columns, 2, this.coarse[1])];
		const [photo, result] = [read(this.small, down, right), cut(this.result, down, right)];
		const mean = box(photo);
		const meanOfResult = box(result);
		const products = box(map2(photo, result, (a, b) => a * b));
		const squares = box(map2(photo, photo, (a, b) => a * b));
		const count = photo.data.length;
		const lines = { data: new Float32Array(2 * count), channels: 6, height: photo.height, width: photo.width };
		for (let i = 0; i < count; i++) {
			const m = mean.data[i];
			const slope = (products.data[i] - m * meanOfResult.data[i]) / (squares.data[i] - m * m + EPS);
			lines.data[i] = slope;
			lines.data[count + i] = meanOfResult.data[i] - slope * m;
		}
		return cut(box(lines), within(rows, down.start), within(columns, right.start));
	}

	/**
	 * Give a rendering of this picture the low frequencies of the small result, so that it is the same picture.
	 * @param {Planes} picture a tile with its surroundings
	 * @param {Area} outer where that is
	 * @param {Area} inner the tile alone, which is returned
	 * @returns {Planes}
	 */
	settled(picture, outer, inner) {
		const down = needed(this.kept[0], this.size[0], inner.rows);
		const right = needed(this.kept[1], this.size[1], inner.columns);
		/** @type {(rows: Line, columns: Line) => Planes} */
		const rendered = (rows, columns) => cut(picture, within(rows, outer.rows.start), within(columns, outer.columns.start));
		const meant = scaled((rows, columns) => cut(this.result, rows, columns), this.coarse, this.kept, down, right);
		const low = map2(meant, scaled(rendered, this.size, this.kept, down, right), (a, b) => a - b);
		const missing = scaled(
			(rows, columns) => cut(low, within(rows, down.start), within(columns, right.start)),
			this.kept,
			this.size,
			inner.rows,
			inner.columns,
		);
		return map2(rendered(inner.rows, inner.columns), missing, (a, b) => Math.min(Math.max(a + b, 0), 1));
	}
}

/**
 * @param {Line} line
 * @param {number} start
 * @returns {Line}
 */
export function within(line, start) {
	return { start: line.start - start, end: line.end - start };
}

/**
 * @param {Planes | Scaled} first
 * @param {Planes | Scaled} second
 * @param {(a: number, b: number) => number} combine
 * @returns {Planes}
 */
function map2(first, second, combine) {
	const data = new Float32Array(first.data.length);
	for (let i = 0; i < data.length; i++) data[i] = combine(first.data[i], second.data[i]);
	return { ...first, data };
}

/**
 * Average the 3 x 3 values around each; beyond the edges, the edge repeats.
 * @param {Planes} planes
 * @returns {Planes}
 */
function box({ data, channels, height, width }) {
	const sums = new Float32Array(data.length);
	const made = new Float32Array(data.length);
	for (let row = 0; row < channels * height; row++) {
		const at = row * width;
		for (let x = 0; x < width; x++) {
			sums[at + x] = data[at + Math.max(0, x - 1)] + data[at + x] + data[at + Math.min(width - 1, x + 1)];
		}
	}
	for (let channel = 0; channel < channels; channel++) {
		for (let y = 0; y < height; y++) {
			const at = (channel * height + y) * width;
			const above = (channel * height + Math.max(0, y - 1)) * width;
			const below = (channel * height + Math.min(height - 1, y + 1)) * width;
			for (let x = 0; x < width; x++) made[at + x] = (sums[above + x] + sums[at + x] + sums[below + x]) / 9;
		}
	}
	return { data: made, channels, height, width };
}
