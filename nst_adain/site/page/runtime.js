/** Loads ONNX Runtime: with WebGPU where there is one, else WebAssembly with SIMD, on several threads where the host allows it. */

/**
 * @typedef {{ base: string, files: Record<string, string> }} Source Where the runtime's files are, and the hash of each.
 * @typedef {{ data: Float32Array, dims: readonly number[], dispose(): void, getData(): Promise<Float32Array> }} Tensor
 * @typedef {{ inputNames: readonly string[], run(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> }} Session
 * @typedef {{ backend: "WebGPU" | "WASM", threads: number, tensor: (data: Float32Array, dims: number[]) => Tensor,
 *   open: (graph: Uint8Array, kept?: string[]) => Promise<Session> }} Runtime
 * @typedef {{ runtime?: string | null, threads?: string | null }} Wanted What the page's address asks for: `?runtime=wasm&threads=1`,
 *   or `?runtime=webgpu`, also where that runs on the processor.
 */

const THREADS = 4; // of more, a picture of this size has too little work for each

const WEBGPU = ["ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify"];
const WASM = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded"];

/**
 * @param {Source} source
 * @param {Wanted} wanted
 * @returns {Promise<Runtime>}
 */
export async function loadRuntime(source, wanted) {
	const gpu = wanted.runtime !== "wasm" && (await hasWebGPU(wanted.runtime === "webgpu"));
	const [main, glue] = gpu ? WEBGPU : WASM;
	const [script, module, binary] = await Promise.all([
		fetched(source, main),
		fetched(source, `${glue}.mjs`),
		fetched(source, `${glue}.wasm`),
	]);
	const ort = await import(address(script));
	const cores = Math.min(navigator.hardwareConcurrency || 1, THREADS);
	const threads = globalThis.crossOriginIsolated && !gpu ? Math.max(1, Number(wanted.threads) || cores) : 1;
	ort.env.logLevel = "error";
	ort.env.wasm.numThreads = threads;
	ort.env.wasm.wasmPaths = { mjs: address(module) };
	ort.env.wasm.wasmBinary = binary;
	const provider = gpu ? "webgpu" : "wasm";
	return {
		backend: gpu ? "WebGPU" : "WASM",
		threads,
		tensor: (data, dims) => new ort.Tensor("float32", data, dims),
		open: (graph, kept = []) =>
			ort.InferenceSession.create(graph, {
				executionProviders: [provider],
				logSeverityLevel: 3, // errors alone: it warns of what runs on the processor by design
				preferredOutputLocation: gpu ? Object.fromEntries(kept.map((name) => [name, "gpu-buffer"])) : undefined,
			}),
	};
}

/** @param {boolean} emulated whether one that runs on the processor will do, which is far slower than WebAssembly there */
async function hasWebGPU(emulated) {
	/** @type {any} */
	const { gpu } = navigator;
	const adapter = await gpu?.requestAdapter().catch(() => null);
	return Boolean(adapter) && (emulated || !adapter.info?.isFallbackAdapter);
}

/**
 * Fetch one of the runtime's files; the browser refuses one with another hash.
 * @param {Source} source
 * @param {string} name
 */
async function fetched({ base, files }, name) {
	const response = await fetch(new URL(name, new URL(base, self.location.href)), { integrity: files[name] });
	if (!response.ok) throw new Error(`${name}: expected a file of ONNX Runtime, found ${response.status}`);
	return response.arrayBuffer();
}

/** @param {ArrayBuffer} script */
function address(script) {
	return URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
}
