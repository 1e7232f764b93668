/** Asks the worker, which does one thing after the other. */

/**
 * @typedef {import("./worker.js").Look} Look
 * @typedef {import("./worker.js").Shown} Shown
 */

/** A cancelled job ends with this. */
export class Cancelled extends Error {}

export class Engine {
	constructor() {
		this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
		/** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
		this.waiting = new Map();
		this.count = 0;
		/** @type {(share: number) => void} */
		this.onprogress = () => {};
		this.worker.onmessage = ({ data }) => this.answered(data);
		this.worker.onerror = (event) => this.failed(event.message || "the page's worker could not start");
	}

	/** @param {{ id: number, value?: unknown, error?: string, cancelled?: boolean, progress?: number }} answer */
	answered({ id, value, error, cancelled, progress }) {
		if (progress !== undefined) return this.onprogress(progress);
		const asked = this.waiting.get(id);
		this.waiting.delete(id);
		if (error === undefined) asked?.resolve(value);
		else asked?.reject(cancelled ? new Cancelled(error) : new Error(error));
	}

	/** @param {string} message */
	failed(message) {
		for (const { reject } of this.waiting.values()) reject(new Error(message));
		this.waiting.clear();
	}

	/**
	 * @param {string} name
	 * @param {object} given
	 * @param {Transferable[]} transfer
	 * @returns {Promise<any>}
	 */
	ask(name, given, transfer = []) {
		return new Promise((resolve, reject) => {
			const id = ++this.count;
			this.waiting.set(id, { resolve, reject });
			this.worker.postMessage({ id, name, given }, transfer);
		});
	}

	/** Load the runtime and the model. @param {object} given @returns {Promise<{ backend: string, threads: number }>} */
	start(given) {
		return this.ask("start", given);
	}

	/** Open a photograph. @param {Blob} file @returns {Promise<{ height: number, width: number }>} */
	photo(file) {
		return this.ask("photo", { file });
	}

	/** Open a style. @param {string} key @param {Blob} file @returns {Promise<void>} */
	style(key, file) {
		return this.ask("style", { key, file });
	}

	/** Paint at the size of the look. @param {Look} look @param {number} size @returns {Promise<Shown>} */
	preview(look, size) {
		return this.ask("preview", { look, size });
	}

	/**
	 * Paint at the photograph's own size.
	 * @param {Look} look
	 * @param {number} size
	 * @param {string} type of the file
	 * @returns {Promise<{ file: Blob, bitmap: ImageBitmap }>}
	 */
	full(look, size, type) {
		return this.ask("full", { look, size, type });
	}

	/**
	 * Paint a camera's frame.
	 * @param {ImageBitmap} bitmap
	 * @param {Look} look
	 * @param {number} size
	 * @param {boolean} first whether a new scene begins
	 * @returns {Promise<Shown>}
	 */
	frame(bitmap, look, size, first) {
		return this.ask("frame", { bitmap, look, size, first }, [bitmap]);
	}

	cancel() {
		this.worker.postMessage({ name: "cancel" });
	}
}
