/** Channel statistics, all that is kept of a style: added up over tiles, and mixed. */

/**
 * @typedef {{ mean: Float32Array, std: Float32Array }} Stats One value of each for every channel.
 * @typedef {{ data: Float32Array, dims: readonly number[] }} Features Of one picture: (1, channels, height, width).
 * @typedef {{ start: number, end: number }} Line
 */

/** Adds up the mean and variance of each channel over many pieces (Chan et al. 1983). */
export class Moments {
	/** @param {number} channels */
	constructor(channels) {
		this.count = 0;
		this.mean = new Float64Array(channels);
		this.squares = new Float64Array(channels); // sums of squared deviations from the mean
	}

	/**
	 * Add a window of features.
	 * @param {Features} features
	 * @param {Line} rows
	 * @param {Line} columns
	 */
	add({ data, dims }, rows, columns) {
		const [, channels, height, width] = dims;
		const count = (rows.end - rows.start) * (columns.end - columns.start);
		const total = this.count + count;
		for (let channel = 0; channel < channels; channel++) {
			let sum = 0;
			let squares = 0;
			const middle = this.count ? this.mean[channel] : data[channel * height * width]; // sums about it keep the variance
			for (let y = rows.start; y < rows.end; y++) {
				const at = (channel * height + y) * width;
				for (let x = columns.start; x < columns.end; x++) {
					const apart = data[at + x] - middle;
					sum += apart;
					squares += apart * apart;
				}
			}
			const mean = middle + sum / count;
			const apart = mean - this.mean[channel];
			this.squares[channel] += squares - (sum * sum) / count + (apart * apart * this.count * count) / total;
			this.mean[channel] += (apart * count) / total;
		}
		this.count = total;
	}
}

/**
 * Join the moments of several layers.
 * @param {Moments[]} parts
 * @param {number} eps
 * @returns {Stats}
 */
export function joined(parts, eps) {
	const mean = parts.flatMap((part) => [...part.mean]);
	const std = parts.flatMap((part) => [...part.squares].map((squares) => Math.sqrt(squares / part.count + eps)));
	return { mean: Float32Array.from(mean), std: Float32Array.from(std) };
}

/**
 * Add up statistics by weight.
 * @param {Stats[]} stats
 * @param {number[]} weights
 * @returns {Stats}
 */
export function blend(stats, weights) {
	const mean = new Float32Array(stats[0].mean.length);
	const std = new Float32Array(mean.length);
	for (const [i, each] of stats.entries()) {
		for (let channel = 0; channel < mean.length; channel++) {
			mean[channel] += weights[i] * each.mean[channel];
			std[channel] += weights[i] * each.std[channel];
		}
	}
	return { mean, std };
}

const CUT = 0.35; // relative change of the mean activations above which a scene ends: a pan stays below 0.1

/** Averages statistics over the frames of a scene, with exponentially decreasing weights, against flicker. */
export class Smoothed {
	/** @param {number} steadiness the share of the past, from 0 to below 1 */
	constructor(steadiness) {
		this.steadiness = steadiness;
		/** @type {Stats | undefined} */
		this.average = undefined;
		/** @type {Float32Array | undefined} */
		this.last = undefined;
	}

	/**
	 * Add a frame's statistics, and return those to use for it.
	 * @param {Stats} stats
	 * @returns {Stats}
	 */
	add(stats) {
		const cut = this.last === undefined || change(stats.mean, this.last) > CUT;
		this.last = stats.mean;
		const past = cut ? undefined : this.average;
		this.average = past ? blend([past, stats], [this.steadiness, 1 - this.steadiness]) : stats;
		return this.average;
	}
}

/**
 * @param {Float32Array} now
 * @param {Float32Array} before
 */
function change(now, before) {
	let [apart, size] = [0, 0];
	for (let i = 0; i < now.length; i++) {
		apart += Math.abs(now[i] - before[i]);
		size += Math.abs(before[i]);
	}
	return apart / size;
}
