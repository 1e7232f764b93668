/** The shelf of styles: drawn ones and the visitor's own, of which up to four are mixed. */

/** @typedef {{ key: string, weight: number }} Chosen */

const MOST = 4;

export class Shelf {
	/**
	 * @param {(key: string, file: Blob) => Promise<void>} open hands a style to the engine
	 * @param {() => void} changed
	 * @param {(error: unknown) => void} failed
	 */
	constructor(open, changed, failed) {
		this.open = open;
		this.changed = changed;
		this.failed = failed;
		this.place = /** @type {HTMLElement} */ (document.getElementById("shelf"));
		this.shares = /** @type {HTMLElement} */ (document.getElementById("shares"));
		this.input = /** @type {HTMLInputElement} */ (document.getElementById("style-file"));
		/** @type {Map<string, { url: string, file: Blob | undefined, button: HTMLButtonElement }>} */
		this.styles = new Map();
		/** @type {Chosen[]} */
		this.chosen = [];
		/** @type {Set<string>} */
		this.asked = new Set();
		/** @type {Set<string>} What the engine has. */
		this.opened = new Set();
		this.more = document.createElement("button");
		this.more.type = "button";
		this.more.className = "add";
		this.more.textContent = "Your own";
		this.more.addEventListener("click", () => this.input.click());
		this.place.append(this.more);
		this.input.addEventListener("change", () => {
			for (const file of this.input.files ?? []) this.add(file);
			this.input.value = "";
		});
	}

	/**
	 * Add a style to the shelf.
	 * @param {string} key
	 * @param {string} name
	 * @param {string} url
	 * @param {Blob} [file]
	 */
	put(key, name, url, file) {
		const button = document.createElement("button");
		button.type = "button";
		button.title = name;
		button.setAttribute("aria-pressed", "false");
		const image = document.createElement("img");
		image.src = url;
		image.alt = name;
		button.append(image);
		button.addEventListener("click", () => this.toggle(key));
		this.styles.set(key, { url, file, button });
		this.place.insertBefore(button, this.more);
	}

	/**
	 * Add a picture of the visitor's own, in place of what was chosen.
	 * @param {File | Blob} file
	 */
	add(file) {
		const key = `own ${this.styles.size}`;
		this.put(key, file instanceof File ? file.name : "Pasted", URL.createObjectURL(file), file);
		return this.choose([{ key, weight: 50 }]);
	}

	/** @param {string} key */
	toggle(key) {
		const others = this.chosen.filter((each) => each.key !== key);
		if (others.length < this.chosen.length) return others.length ? this.choose(others) : undefined;
		return this.choose([...others.slice(1 - MOST), { key, weight: 50 }]);
	}

	/** @param {Chosen[]} chosen */
	async choose(chosen) {
		this.chosen = chosen;
		for (const [key, { button }] of this.styles) {
			button.setAttribute("aria-pressed", String(chosen.some((each) => each.key === key)));
		}
		this.showShares();
		for (const { key } of chosen) await this.ready(key);
		const left = chosen.filter(({ key }) => this.styles.has(key));
		if (left.length === chosen.length) this.changed();
		else await this.choose(left.length ? left : [{ key: [...this.styles.keys()][0], weight: 50 }]);
	}

	/** @param {string} key */
	async ready(key) {
		const style = this.styles.get(key);
		if (!style || this.asked.has(key)) return;
		this.asked.add(key);
		try {
			await this.open(key, style.file ?? (await (await fetch(style.url)).blob()));
			this.opened.add(key);
		} catch (error) {
			style.button.remove();
			this.styles.delete(key);
			this.failed(error);
		}
	}

	/** Show how much of each style there is, if there are several. */
	showShares() {
		this.shares.replaceChildren();
		if (this.chosen.length < 2) return;
		for (const each of this.chosen) {
			const style = this.styles.get(each.key);
			const label = document.createElement("label");
			const image = document.createElement("img");
			image.src = style?.url ?? "";
			image.alt = `Share of ${style?.button.title}`;
			const slider = Object.assign(document.createElement("input"), { type: "range", min: "0", max: "100", step: "1" });
			slider.value = String(each.weight);
			const told = document.createElement("output");
			slider.addEventListener("input", () => {
				each.weight = Number(slider.value);
				this.tell();
				this.changed();
			});
			label.append(image, slider, told);
			this.shares.append(label);
		}
		this.tell();
	}

	/** Say each share. */
	tell() {
		const shares = sharesOf(this.chosen);
		for (const [i, told] of this.shares.querySelectorAll("output").entries()) {
			told.textContent = `${Math.round(100 * shares[i].weight)} %`;
		}
	}

	/** The chosen styles that the engine has, with weights that sum to 1. */
	weights() {
		return sharesOf(this.chosen.filter(({ key }) => this.opened.has(key)));
	}
}

/** @param {Chosen[]} chosen @returns {Chosen[]} */
function sharesOf(chosen) {
	const total = chosen.reduce((sum, { weight }) => sum + weight, 0);
	return chosen.map(({ key, weight }) => ({ key, weight: total ? weight / total : 1 / chosen.length }));
}
