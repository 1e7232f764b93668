/**
 * Renders a picture coarse to fine: its look at a working size, then finer strokes, size by size, each in tiles whose statistics
 * are those of the whole picture. It does what `nst_adain/rendering` does.
 */

import { Guided, within } from "./guidance.js";
import { release } from "./model.js";
import { blank, cut, empty, paste, read, reduced, samples, sizesUpTo, tiles, whole, widened, write } from "./pictures.js";
import { Moments, blend, joined } from "./statistics.js";

/**
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").Features} Features
 * @typedef {import("./resampling.js").Planes} Planes
 * @typedef {import("./statistics.js").Stats} Stats
 * @typedef {import("./pictures.js").Picture} Picture
 * @typedef {import("./pictures.js").Area} Area
 * @typedef {import("./pictures.js").Tile} Tile
 * @typedef {{ stats: Stats, weight: number }[]} Styles
 * @typedef {{ alpha: number, boldness: number, ownColors: boolean }} Look
 * @typedef {{ levels: Picture[], features: Features, stats: Stats }} Content A photograph at each size, encoded at the first.
 * @typedef {{ planes: Planes, area: Area }} Part
 * @typedef {(done: number, of: number) => Promise<void>} Report Called before each tile; what it throws ends the work.
 */

const AGAIN = 0.5; // strength of the finer renderings: at 1 flat areas turn to relief, at a third they stay smooth
const LARGE = 2048 * 2048; // pixels of a picture of which a quarter says enough for the contrast of fine strokes
const LUMA = [0.299, 0.587, 0.114]; // ITU-R BT.601

/**
 * Encode a photograph once, to paint it many times.
 * @param {Model} model
 * @param {Picture} photo
 * @returns {Promise<Content>}
 */
export async function openContent(model, photo) {
	const levels = [photo];
	for (const size of sizesUpTo([photo.height, photo.width], model.numbers.look_size).reverse().slice(1)) {
		levels.unshift(reduced(levels[0], size));
	}
	const { rows, columns } = whole(levels[0].height, levels[0].width);
	return { levels, ...(await model.encode(read(levels[0], rows, columns))) };
}

/**
 * Mix the codes of styles for a boldness.
 * @param {Model} model
 * @param {Styles} styles
 * @param {number} boldness
 */
export async function mixture(model, styles, boldness) {
	const total = styles.reduce((sum, { weight }) => sum + weight, 0);
	const codes = [];
	for (const { stats } of styles) codes.push(await model.code(stats, boldness));
	return blend(codes, styles.map(({ weight }) => weight / total));
}

/**
 * Paint a photograph at the size at which it gets its look.
 * @param {Model} model
 * @param {Content} content
 * @param {Stats} style
 * @param {Look} look
 * @returns {Promise<Planes>}
 */
export async function paintSmall(model, content, style, look) {
	const own = await model.code(content.stats, look.boldness);
	const planes = await model.decode(content.features, own, style, look.alpha, look.boldness);
	const { rows, columns } = whole(content.levels[0].height, content.levels[0].width);
	return cut(planes, rows, columns);
}

/**
 * Paint a photograph at its own size.
 * @param {Model} model
 * @param {Content} content
 * @param {Stats} style
 * @param {Look} look
 * @param {Report} report
 * @returns {Promise<Picture>}
 */
export async function paint(model, content, style, look, report) {
	const [small, ...larger] = content.levels;
	const guides = larger.map((photo, i) => ({ photo, cover: coverOf(model, photo, content.levels[i]) }));
	const steps = guides.reduce((sum, { cover }) => sum + cover.measured.length + cover.tiles.length, 0);
	let done = 0;
	/** @type {AsyncIterable<Part> | Part[]} */
	let parts = [{ planes: await paintSmall(model, content, style, look), area: whole(small.height, small.width) }];
	for (const [i, { photo, cover }] of guides.entries()) {
		const coarser = content.levels[i];
		const result = blank(3, [coarser.height, coarser.width]);
		for await (const { planes, area } of parts) paste(result, planes, area.rows.start, area.columns.start);
		parts = refined(model, new Guided(photo, coarser, result), cover, style, look, () => report(done++, steps));
	}
	const photo = content.levels[larger.length];
	const picture = empty(photo.height, photo.width);
	for await (const { planes, area } of parts) {
		write(picture, finished(planes, photo, look.ownColors, area), area.rows.start, area.columns.start);
	}
	return picture;
}

/**
 * The tiles of a photograph, and those of which its statistics are measured.
 * @param {Model} model
 * @param {Picture} photo
 * @param {Picture} small
 */
function coverOf(model, photo, small) {
	const { margin, size } = new Guided(photo, small, blank(3, [0, 0]));
	const cover = tiles(size, model.numbers.halo + margin);
	const large = photo.height * photo.width > LARGE;
	return { tiles: cover, measured: large ? samples(size) : cover.length > 1 ? cover : [] };
}

/**
 * Paint an enlarged result once more, more weakly, for finer strokes: tile by tile.
 * @param {Model} model
 * @param {Guided} guided
 * @param {{ tiles: Tile[], measured: Tile[] }} cover
 * @param {Stats} style
 * @param {Look} look
 * @param {() => Promise<void>} report
 * @returns {AsyncGenerator<Part>}
 */
async function* refined(model, guided, cover, style, look, report) {
	const { taps, eps } = model.numbers;
	const moments = Object.values(taps).map(({ channels }) => new Moments(channels));
	for (const { inner, outer } of cover.measured) {
		await report();
		const { features } = await model.encode(guided.read(outer.rows, outer.columns));
		for (const [i, [tap, { stride }]] of Object.entries(taps).entries()) {
			const tensor = features[tap];
			const [, , height, width] = tensor.dims;
			const rows = positions(inner.rows, outer.rows, stride, height);
			const columns = positions(inner.columns, outer.columns, stride, width);
			moments[i].add({ data: await tensor.getData(), dims: tensor.dims }, rows, columns);
		}
		release(features);
	}
	const known = cover.measured.length ? await model.code(joined(moments, eps), look.boldness) : undefined;
	for (const tile of cover.tiles) {
		await report();
		const { features, stats } = await model.encode(guided.read(tile.outer.rows, tile.outer.columns));
		const own = known ?? (await model.code(stats, look.boldness));
		const planes = await model.decode(features, own, style, AGAIN * Math.min(1, look.alpha), look.boldness);
		release(features);
		const { inner, area, picture } = cropped(planes, tile, guided);
		yield { planes: guided.settled(picture, area, inner), area: inner };
	}
}

/**
 * The positions of a tile itself in the features of what was read; at the picture's end, all to the end of its padding.
 * @param {import("./resampling.js").Line} inner
 * @param {import("./resampling.js").Line} outer
 * @param {number} stride
 * @param {number} length
 */
function positions(inner, outer, stride, length) {
	const end = inner.end === outer.end ? length : Math.floor((inner.end - outer.start) / stride);
	return { start: Math.floor((inner.start - outer.start) / stride), end };
}

/**
 * Cut from a decoded tile the area on which `settled` depends.
 * @param {Planes} planes
 * @param {Tile} tile
 * @param {Guided} guided
 */
function cropped(planes, { inner, outer }, { margin, size }) {
	const area = { rows: widened(inner.rows, margin, size[0]), columns: widened(inner.columns, margin, size[1]) };
	const picture = cut(planes, within(area.rows, outer.rows.start), within(area.columns, outer.columns.start));
	return { inner, area, picture };
}

/**
 * Take the colours of the photograph and only lightness from the result, if asked.
 * @param {Planes} planes
 * @param {Picture} photo
 * @param {boolean} ownColors
 * @param {Area} area
 * @returns {Planes}
 */
export function finished(planes, photo, ownColors, area = whole(photo.height, photo.width)) {
	if (!ownColors) return planes;
	const own = read(photo, area.rows, area.columns);
	const count = planes.height * planes.width;
	for (let i = 0; i < count; i++) {
		let lighter = 0;
		for (const [channel, weight] of LUMA.entries()) {
			lighter += weight * (planes.data[channel * count + i] - own.data[channel * count + i]);
		}
		for (let channel = 0; channel < 3; channel++) own.data[channel * count + i] += lighter;
	}
	return own;
}


