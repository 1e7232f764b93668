/** The camera's picture, painted frame by frame at the size that holds the wanted pace, with stills and recordings of it. */

/**
 * @typedef {import("./engine.js").Engine} Engine
 * @typedef {import("./worker.js").Look} Look
 * @typedef {import("./stage.js").Stage} Stage
 */

const PACE = 15; // frames a second
const [SMALLEST, LARGEST] = [96, 512]; // short side in pixels: the model's own look is that of 512
const MULTIPLE = 8;
const FORMATS = ["video/mp4;codecs=avc1", "video/webm;codecs=vp9", "video/webm"];

/**
 * The short side for the next frames, from the time of the last: work grows with the pixels.
 * @param {number} side
 * @param {number} seconds that a frame of this side took
 */
export function nextSide(side, seconds) {
	const fitting = side * Math.sqrt(1 / PACE / seconds);
	const step = Math.min(Math.max(0.9 * fitting, side / 1.5), side * 1.1); // a tenth in reserve; down fast, up slowly
	if (step > side && step < side + MULTIPLE) return side;
	return Math.min(Math.max(Math.round(step / MULTIPLE) * MULTIPLE, SMALLEST), LARGEST);
}

export class Live {
	/**
	 * @param {Engine} engine
	 * @param {Stage} stage
	 * @param {() => { look: Look, size: number }} wanted
	 * @param {(message: string) => void} tell is given frames per second and size
	 */
	constructor(engine, stage, wanted, tell) {
		this.engine = engine;
		this.stage = stage;
		this.wanted = wanted;
		this.tell = tell;
		this.video = /** @type {HTMLVideoElement} */ (document.getElementById("video"));
		this.side = 192;
		this.running = false;
		/** @type {MediaRecorder | undefined} */
		this.recorder = undefined;
	}

	/** Open the camera and paint until `stop`. */
	async start() {
		if (!navigator.mediaDevices) throw new Error("camera: expected a page by https or on localhost, which may use one");
		this.video.srcObject = await navigator.mediaDevices.getUserMedia({
			video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 720 } },
		});
		await this.video.play();
		this.running = true;
		this.stage.live(true);
		this.stage.shape(this.video.videoWidth, this.video.videoHeight);
		this.done = this.loop();
	}

	async loop() {
		let first = true;
		let pace = 0;
		let ended = performance.now();
		try {
			while (this.running) {
				const { look, size } = this.wanted();
				const picture = await this.engine.frame(await this.grab(), look, size, first);
				if (!this.running) break;
				this.stage.draw(picture);
				const seconds = (performance.now() - ended) / 1000;
				ended = performance.now();
				if (!first) {
					pace = pace ? 0.8 * pace + 0.2 / seconds : 1 / seconds;
					this.tell(`${pace.toFixed(0)} frames a second, ${picture.width} × ${picture.height}`);
					this.side = this.recorder ? this.side : nextSide(this.side, seconds); // a recording keeps its size
				}
				first = false;
				await new Promise(requestAnimationFrame); // what was drawn is shown, and a hidden page rests
			}
		} finally {
			this.close();
		}
	}

	/** Take the camera's picture at the size of now. */
	grab() {
		const { videoWidth: width, videoHeight: height } = this.video;
		const scale = Math.min(1, this.side / Math.min(width, height));
		const [resizeWidth, resizeHeight] = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
		return createImageBitmap(this.video, { resizeWidth, resizeHeight, resizeQuality: "medium" });
	}

	async stop() {
		this.running = false;
		await this.done?.catch(() => {});
	}

	close() {
		this.running = false;
		this.recorder?.stop();
		this.stage.live(false);
		const stream = /** @type {MediaStream | null} */ (this.video.srcObject);
		for (const track of stream?.getTracks() ?? []) track.stop();
		this.video.srcObject = null;
	}

	/** @returns {Promise<Blob>} what is shown now */
	still() {
		return new Promise((resolve, reject) => {
			this.stage.canvas.toBlob((file) => (file ? resolve(file) : reject(new Error("still: expected a picture, found none"))));
		});
	}

	/**
	 * Begin a recording.
	 * @param {(file: Blob) => void} save is given it when `recorder.stop` ends it
	 */
	record(save) {
		const mimeType = FORMATS.find((format) => MediaRecorder.isTypeSupported(format));
		const recorder = new MediaRecorder(this.stage.canvas.captureStream(), { mimeType, videoBitsPerSecond: 8_000_000 });
		/** @type {Blob[]} */
		const parts = [];
		recorder.ondataavailable = ({ data }) => parts.push(data);
		recorder.onstop = () => {
			this.recorder = undefined;
			save(new Blob(parts, { type: recorder.mimeType.split(";")[0] }));
		};
		recorder.start();
		this.recorder = recorder;
	}
}
