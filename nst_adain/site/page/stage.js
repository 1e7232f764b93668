/** The picture: the photograph and what was painted from it, one above the other, with an edge to drag between them. */

/** @typedef {import("./worker.js").Shown} Shown */

export class Stage {
	constructor() {
		this.comparison = /** @type {HTMLElement} */ (document.getElementById("comparison"));
		this.canvas = /** @type {HTMLCanvasElement} */ (document.getElementById("result"));
		this.before = /** @type {HTMLImageElement} */ (document.getElementById("before"));
		const cut = /** @type {HTMLInputElement} */ (document.getElementById("cut"));
		cut.addEventListener("input", () => this.comparison.style.setProperty("--cut", `${cut.value}%`));
	}

	/**
	 * Show a photograph, until there is a result.
	 * @param {Blob} file
	 */
	async photograph(file) {
		URL.revokeObjectURL(this.before.src);
		this.before.src = URL.createObjectURL(file);
		this.comparison.classList.add("waiting");
		await this.before.decode().catch(() => {});
		this.shape(this.before.naturalWidth, this.before.naturalHeight);
	}

	/** @param {Shown} picture */
	draw({ data, width, height }) {
		this.resize(width, height).putImageData(new ImageData(data, width, height), 0, 0);
	}

	/** @param {ImageBitmap} bitmap */
	drawBitmap(bitmap) {
		this.resize(bitmap.width, bitmap.height).drawImage(bitmap, 0, 0);
		bitmap.close();
	}

	/**
	 * @param {number} width
	 * @param {number} height
	 */
	resize(width, height) {
		if (this.canvas.width !== width || this.canvas.height !== height) {
			this.canvas.width = width;
			this.canvas.height = height;
		}
		this.comparison.classList.remove("waiting");
		const context = this.canvas.getContext("2d");
		if (!context) throw new Error("canvas: expected one of this size, found none");
		return context;
	}

	/**
	 * @param {number} width
	 * @param {number} height
	 */
	shape(width, height) {
		if (width && height) this.comparison.style.setProperty("--ratio", String(width / height));
	}

	/** @param {boolean} on */
	live(on) {
		this.comparison.classList.toggle("live", on);
	}
}
