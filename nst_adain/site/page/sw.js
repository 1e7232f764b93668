/**
 * Keeps every file that was loaded, so that the page works offline, and adds the two headers without which browsers give a page
 * no threads, for hosts that cannot send them.
 */

const STORE = "nst-adain";
const HEADERS = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

/** @type {any} */
const worker = self;

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener("fetch", (/** @type {any} */ event) => {
	const { request } = event;
	if (request.method !== "GET" || !request.url.startsWith("http")) return;
	event.respondWith(answer(request));
});

/**
 * The file as it is now, or if there is no network, as it was.
 * @param {Request} request
 */
async function answer(request) {
	const store = await caches.open(STORE);
	try {
		const response = await fetch(request);
		if (response.ok && response.type !== "opaque") await store.put(request, response.clone());
		return isolated(response);
	} catch (error) {
		const kept = await store.match(request, { ignoreSearch: request.mode === "navigate" });
		if (!kept) throw error;
		return isolated(kept);
	}
}

/** @param {Response} response */
function isolated(response) {
	if (response.status === 0) return response;
	const headers = new Headers(response.headers);
	for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
	return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
