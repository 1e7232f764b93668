/** Reduces style pictures to the same bytes as Pillow's LANCZOS does, on which their statistics depend. */

import { empty } from "./pictures.js";
import { lanczos, round } from "./resampling.js";

/** @typedef {import("./pictures.js").Picture} Picture */

const ONE = 2 ** 22; // Pillow adds up whole numbers: weights in units of 1 / ONE

/**
 * Reduce a picture to a short side, unless it is smaller.
 * @param {Picture} picture
 * @param {number} side
 * @returns {Picture}
 */
export function atMost(picture, side) {
	const scale = side / Math.min(picture.height, picture.width);
	if (scale >= 1) return picture;
	return shrunk(picture, [Math.max(1, round(picture.height * scale)), Math.max(1, round(picture.width * scale))]);
}

/**
 * @param {Picture} picture
 * @param {import("./resampling.js").Size} size
 */
function shrunk(picture, [height, width]) {
	const rows = empty(picture.height, width); // rows first, and rounded before columns
	const wide = weightsOf(picture.width, width);
	for (let y = 0; y < picture.height; y++) {
		const from = 4 * y * picture.width;
		for (let x = 0; x < width; x++) fill(rows.data, 4 * (y * width + x), picture.data, from + 4 * wide[x].first, 4, wide[x].weights);
	}
	const made = empty(height, width);
	const high = weightsOf(picture.height, height);
	for (let y = 0; y < height; y++) {
		const { first, weights } = high[y];
		for (let x = 0; x < width; x++) fill(made.data, 4 * (y * width + x), rows.data, 4 * (first * width + x), 4 * width, weights);
	}
	return made;
}

/**
 * Weigh pixels `step` bytes apart.
 * @param {Uint8ClampedArray} made
 * @param {number} to
 * @param {Uint8ClampedArray} data
 * @param {number} from
 * @param {number} step
 * @param {number[]} weights
 */
function fill(made, to, data, from, step, weights) {
	for (let channel = 0; channel < 3; channel++) {
		let sum = ONE / 2;
		for (let k = 0; k < weights.length; k++) sum += weights[k] * data[from + channel + k * step];
		made[to + channel] = Math.floor(sum / ONE);
	}
	made[to + 3] = 255;
}

/**
 * @param {number} before
 * @param {number} after
 * @returns {{ first: number, weights: number[] }[]} for each output
 */
function weightsOf(before, after) {
	const scale = before / after;
	const reach = lanczos.reach * scale;
	return Array.from({ length: after }, (_, output) => {
		const centre = (output + 0.5) * scale;
		const first = Math.max(0, Math.floor(centre - reach + 0.5));
		const end = Math.min(before, Math.floor(centre + reach + 0.5));
		const found = Array.from({ length: end - first }, (_, k) => lanczos.weigh((first + k + 0.5 - centre) / scale));
		const total = found.reduce((sum, weight) => sum + weight, 0);
		return { first, weights: found.map((weight) => toWhole((weight / total) * ONE)) };
	});
}

/** Round halves away from 0. @param {number} x */
function toWhole(x) {
	return Math.sign(x) * Math.floor(Math.abs(x) + 0.5);
}
