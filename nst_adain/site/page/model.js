/** The model: pictures to features and statistics, statistics to codes, and both to pictures. */

/**
 * @typedef {import("./resampling.js").Planes} Planes
 * @typedef {import("./statistics.js").Stats} Stats
 * @typedef {import("./runtime.js").Runtime} Runtime
 * @typedef {import("./runtime.js").Session} Session
 * @typedef {import("./runtime.js").Tensor} Tensor
 * @typedef {{ taps: Record<string, { channels: number, stride: number }>, code_channels: number, multiple: number,
 *   smallest: number, halo: number, eps: number, boldness: number | null, style_size: number, look_size: number }} Numbers
 * @typedef {Record<string, Tensor>} Features By tap.
 */

export class Model {
	/**
	 * @param {Runtime} runtime
	 * @param {Numbers} numbers
	 * @param {Record<string, Session>} sessions
	 */
	constructor(runtime, numbers, sessions) {
		this.runtime = runtime;
		this.numbers = numbers;
		this.sessions = sessions;
	}

	/**
	 * @param {Runtime} runtime
	 * @param {Numbers} numbers
	 * @param {string} folder
	 */
	static async load(runtime, numbers, folder) {
		/** @type {Record<string, Session>} */
		const sessions = {};
		for (const name of ["encoder", "modulator", "decoder"]) {
			const response = await fetch(new URL(`${folder}/${name}.onnx`, self.location.href));
			if (!response.ok) throw new Error(`${name}.onnx: expected a graph, found ${response.status}`);
			const kept = name === "encoder" ? Object.keys(numbers.taps) : [];
			sessions[name] = await runtime.open(new Uint8Array(await response.arrayBuffer()), kept);
		}
		return new Model(runtime, numbers, sessions);
	}

	/**
	 * Encode a picture of any size.
	 * @param {Planes} picture
	 * @returns {Promise<{ features: Features, stats: Stats }>}
	 */
	async encode(picture) {
		const { data, height, width } = padded(picture, this.numbers);
		const image = this.runtime.tensor(data, [1, 3, height, width]);
		const { mean, std, ...features } = await this.sessions.encoder.run({ image });
		return { features, stats: { mean: await mean.getData(), std: await std.getData() } };
	}

	/**
	 * Extend statistics to a code.
	 * @param {Stats} stats
	 * @param {number} boldness
	 * @returns {Promise<Stats>}
	 */
	async code({ mean, std }, boldness) {
		const found = await this.run("modulator", { mean: this.column(mean), std: this.column(std) }, boldness);
		return { mean: await found.code_mean.getData(), std: await found.code_std.getData() };
	}

	/**
	 * Decode features to a picture; its sides are multiples of 8.
	 * @param {Features} features
	 * @param {Stats} content
	 * @param {Stats} style
	 * @param {number} alpha
	 * @param {number} boldness
	 * @returns {Promise<Planes>}
	 */
	async decode(features, content, style, alpha, boldness) {
		const codes = {
			content_mean: this.column(content.mean),
			content_std: this.column(content.std),
			style_mean: this.column(style.mean),
			style_std: this.column(style.std),
		};
		const { picture } = await this.run("decoder", { ...features, ...codes, alpha: this.number(alpha) }, boldness);
		const [, channels, height, width] = picture.dims;
		return { data: await picture.getData(), channels, height, width };
	}

	/**
	 * @param {string} name
	 * @param {Record<string, Tensor>} feeds
	 * @param {number} boldness
	 */
	run(name, feeds, boldness) {
		const session = this.sessions[name];
		return session.run(session.inputNames.includes("boldness") ? { ...feeds, boldness: this.number(boldness) } : feeds);
	}

	/** @param {Float32Array} values */
	column(values) {
		return this.runtime.tensor(values, [1, values.length, 1, 1]);
	}

	/** @param {number} value */
	number(value) {
		return this.runtime.tensor(Float32Array.of(value), []);
	}
}

/** @param {Features} features */
export function release(features) {
	for (const tensor of Object.values(features)) tensor.dispose();
}

/**
 * Repeat the right and bottom edge until both sides are what the encoder takes.
 * @param {Planes} planes
 * @param {{ multiple: number, smallest: number }} limits
 * @returns {Planes}
 */
function padded({ data, channels, height, width }, { multiple, smallest }) {
	const [high, wide] = [height, width].map((side) => Math.max(smallest, Math.ceil(side / multiple) * multiple));
	if (high === height && wide === width) return { data, channels, height, width };
	const made = new Float32Array(channels * high * wide);
	for (let row = 0; row < channels * high; row++) {
		const from = (Math.floor(row / high) * height + Math.min(row % high, height - 1)) * width;
		made.set(data.subarray(from, from + width), row * wide);
		made.fill(data[from + width - 1], row * wide + width, (row + 1) * wide);
	}
	return { data: made, channels, height: high, width: wide };
}
