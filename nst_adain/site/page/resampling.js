/** Scales planes window by window: a window of the result is the same as if all of it had been made at once. */

/**
 * @typedef {{ channels: number, height: number, width: number }} Shape
 * @typedef {Shape & { data: Float32Array }} Planes Channel by channel, in [0, 1].
 * @typedef {Shape & { data: Float64Array }} Scaled Exact enough that bytes made of it are those that Python makes.
 * @typedef {{ start: number, end: number }} Line Places along one side, `end` excluded.
 * @typedef {{ reach: number, weigh: (x: number) => number }} Kernel Weighs inputs by their distance, up to `reach`.
 * @typedef {(rows: Line, columns: Line) => Planes | Scaled} Read
 * @typedef {[number, number]} Size Height and width.
 */

/** @type {Kernel} Neither rings nor overshoots. */
export const linear = { reach: 1, weigh: (x) => Math.max(0, 1 - Math.abs(x)) };

/** @type {Kernel} The sharpest, as in Pillow. */
export const lanczos = { reach: 3, weigh: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) };

/** @param {number} x */
function sinc(x) {
	return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * Round to the nearest whole number, halves to the even one, as Python does.
 * @param {number} x
 */
export function round(x) {
	const low = Math.floor(x);
	return x - low === 0.5 ? low + (low % 2) : Math.round(x);
}

/**
 * Where an output lies among the inputs; beyond the edges, the edge repeats.
 * @param {number} before
 * @param {number} after
 * @param {number} output
 */
function place(before, after, output) {
	return Math.min(Math.max((output + 0.5) * (before / after) - 0.5, 0), before - 1);
}

/**
 * The inputs of a line of `before` values on which the wanted outputs of `after` depend.
 * @param {number} before
 * @param {number} after
 * @param {Line} wanted
 * @param {Kernel} kernel
 * @returns {Line}
 */
export function needed(before, after, wanted, kernel = linear) {
	const reach = kernel.reach * Math.max(1, before / after);
	const first = place(before, after, wanted.start);
	const last = place(before, after, wanted.end - 1);
	return { start: Math.max(0, Math.floor(first - reach) + 1), end: Math.min(before, Math.ceil(last + reach)) };
}

/**
 * The weights of the inputs in each wanted output: output i is the sum of weights[i * taps + k] * input[first[i] + k].
 * @param {number} before
 * @param {number} after
 * @param {Line} wanted
 * @param {Line} line the inputs that there are; `first` counts from its start
 * @param {Kernel} kernel widened as the scale asks, against aliasing
 */
function weightsOf(before, after, wanted, line, kernel) {
	const scale = Math.max(1, before / after);
	const reach = kernel.reach * scale;
	const count = wanted.end - wanted.start;
	const taps = Math.min(line.end - line.start, Math.floor(2 * reach) + 1);
	const first = new Int32Array(count);
	const weights = new Float64Array(count * taps);
	for (let i = 0; i < count; i++) {
		const at = place(before, after, wanted.start + i);
		first[i] = Math.min(Math.max(Math.floor(at - reach) + 1, line.start), line.end - taps) - line.start;
		const found = Array.from({ length: taps }, (_, k) => kernel.weigh((line.start + first[i] + k - at) / scale));
		const total = found.reduce((sum, weight) => sum + weight, 0);
		found.forEach((weight, k) => (weights[i * taps + k] = weight / total));
	}
	return { count, taps, first, weights };
}

/**
 * Scale a picture up or down.
 * @param {Read} read reads a window of the picture
 * @param {Size} before its size
 * @param {Size} after the size to which it is scaled
 * @param {Line} rows the window of the result
 * @param {Line} columns
 * @param {Kernel} kernel
 * @returns {Scaled}
 */
export function scaled(read, before, after, rows, columns, kernel = linear) {
	const down = needed(before[0], after[0], rows, kernel);
	const right = needed(before[1], after[1], columns, kernel);
	const vertical = weightsOf(before[0], after[0], rows, down, kernel);
	const horizontal = weightsOf(before[1], after[1], columns, right, kernel);
	return across(along(read(down, right), vertical), horizontal);
}

/**
 * Scale the columns of planes.
 * @param {Planes | Scaled} planes
 * @param {ReturnType<typeof weightsOf>} weights
 * @returns {Scaled}
 */
function along({ data, channels, height, width }, { count, taps, first, weights }) {
	const made = new Float64Array(channels * count * width);
	for (let channel = 0; channel < channels; channel++) {
		for (let y = 0; y < count; y++) {
			const to = (channel * count + y) * width;
			for (let k = 0; k < taps; k++) {
				const weight = weights[y * taps + k];
				if (weight === 0) continue;
				const from = (channel * height + first[y] + k) * width;
				for (let x = 0; x < width; x++) made[to + x] += weight * data[from + x];
			}
		}
	}
	return { data: made, channels, height: count, width };
}

/**
 * Scale the rows of planes.
 * @param {Scaled} planes
 * @param {ReturnType<typeof weightsOf>} weights
 * @returns {Scaled}
 */
function across({ data, channels, height, width }, { count, taps, first, weights }) {
	const made = new Float64Array(channels * height * count);
	for (let row = 0; row < channels * height; row++) {
		const from = row * width;
		for (let x = 0; x < count; x++) {
			const start = from + first[x];
			let sum = 0;
			for (let k = 0; k < taps; k++) sum += weights[x * taps + k] * data[start + k];
			made[row * count + x] = sum;
		}
	}
	return { data: made, channels, height, width: count };
}
