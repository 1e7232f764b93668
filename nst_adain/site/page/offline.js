/** Registers the service worker, which keeps the page for use offline and gives it threads. */

const TRIED = "nst-adain isolated";
const PATIENCE = 2000; // milliseconds: some browsers never start it, and say nothing

/**
 * Register it. Where the host sends no headers for threads, the page loads once more, through the worker, which adds them.
 * @returns {Promise<boolean>} whether the page is about to load again
 */
export async function register() {
	if (!window.isSecureContext || !navigator.serviceWorker) return false;
	try {
		await navigator.serviceWorker.register(new URL("sw.js", import.meta.url));
		await Promise.race([navigator.serviceWorker.ready, new Promise((_, reject) => setTimeout(reject, PATIENCE))]);
	} catch {
		return false; // a private window: it works, online and with one thread
	}
	if (window.crossOriginIsolated || sessionStorage.getItem(TRIED)) return false;
	sessionStorage.setItem(TRIED, "yes");
	window.location.reload();
	return true;
}
