/**
 * From a network's output to a label map of the picture's size, as
 * fastscnn_tf/runtime/postprocess.py has it.
 *
 * Logits at 1/8 are interpolated to the model's input size (padding is cut off) and from there to
 * the picture's; both steps are linear, so they are one table of weights per axis. The argmax comes
 * last, and only where classes meet are logits interpolated. At the input's own size the labels
 * are exact; elsewhere they are those of exact weights, where Python computes in float32.
 */

import { InputError } from './errors.js';
import { resizeLabels } from './resample.js';
import { FACTOR, upsampledLabels, winnersOf } from './upsample.js';

const STRIDE = 32; // networks pad their input to multiples of it
const HALF_PIXEL = 'half_pixel';
const TILE = 16; // pixels; a side of what is looked at in one go

/**
 * How a network's output lies over its input.
 *
 * @typedef {object} Frame
 * @property {[number, number]} size height and width of the input, or of the picture's part of it
 * @property {[number, number]} padded height and width the network works at
 * @property {string} sampling how the logits are upsampled: half_pixel, aligned or nearest
 * @property {[number, number]} origin row and column where `size` begins
 */

/** @returns {Frame} of a network that pads its input to multiples of 32 itself */
export function frameOf(size, sampling = HALF_PIXEL) {
  const padded = size.map((side) => Math.ceil(side / STRIDE) * STRIDE);
  return { size, padded, sampling, origin: [0, 0] };
}

/**
 * The picture's label map.
 *
 * @param {{data: ArrayLike<number>, shape: number[]}} output logits (h, w, classes), or labels (h, w)
 * @param {Frame} frame how it lies over the input
 * @param {object | null} box where the picture lies in the input
 * @param {[number, number]} target height and width of the label map
 * @returns {Uint8Array} (height, width) class indices
 */
export function labelsFromOutput(output, frame, box, target) {
  const [height, width, classes] = output.shape;
  if (classes === undefined) return fromLabels(output, frame, box, target);
  checkFinite(output.data);
  const full = height === frame.size[0] && width === frame.size[1];
  if (full) {
    if (box) output = { data: cutOut(output.data, width * classes, box, classes) };
    const size = box ? [box.height, box.width] : frame.size;
    return fromLogits(output.data, [...size, classes], wholeFrame(size), target);
  }
  const placed = box && { ...frame, size: [box.height, box.width], origin: [box.top, box.left] };
  return fromLogits(output.data, output.shape, placed || frame, target);
}

function wholeFrame(size) {
  return { size, padded: size, sampling: HALF_PIXEL, origin: [0, 0] };
}

function checkFinite(data) {
  if (data instanceof Float32Array && !data.every(Number.isFinite)) {
    throw new InputError("The model's logits are NaN or infinite: train or export it again.");
  }
}

function fromLogits(data, [height, width, classes], frame, target) {
  const same = frame.size[0] === target[0] && frame.size[1] === target[1];
  const eighths = height * FACTOR === frame.padded[0] && width * FACTOR === frame.padded[1];
  if (same && eighths && frame.sampling === HALF_PIXEL) {
    const whole = upsampledLabels(data, height, width, classes);
    const [top, left] = frame.origin;
    const box = { top, left, height: target[0], width: target[1] };
    return cutOut(whole, width * FACTOR, box);
  }
  if (same && height === target[0] && width === target[1]) return winnersOf(data, classes);
  return interpolatedLabels(data, [height, width, classes], frame, target);
}

/** A box of rows of `stride` values, `channels` of them in each cell. */
function cutOut(values, stride, { top, left, height, width }, channels = 1) {
  if (top === 0 && left === 0 && width * channels === stride) {
    return values.subarray(0, height * stride);
  }
  const row = width * channels;
  const result = new values.constructor(height * row);
  for (let y = 0; y < height; y++) {
    const from = (top + y) * stride + left * channels;
    result.set(values.subarray(from, from + row), y * row);
  }
  return result;
}

function fromLabels({ data, shape: [height, width] }, frame, box, target) {
  let labels = Uint8Array.from(data);
  let size = [height, width];
  const full = height === frame.size[0] && width === frame.size[1];
  const padded = frame.padded[0] !== frame.size[0] || frame.padded[1] !== frame.size[1];
  if (!full && (box || padded)) {
    labels = resizeLabels(labels, size, frame.padded);
    size = frame.padded;
  }
  const seen = box || { top: 0, left: 0, height: frame.size[0], width: frame.size[1] };
  if (box || (!full && padded)) {
    labels = cutOut(labels, size[1], seen);
    size = [seen.height, seen.width];
  }
  return resizeLabels(labels, size, target);
}

/**
 * The argmax of interpolated logits, by tiles.
 *
 * A pixel is a weighted mean of the logits that its tile reads: a class that wins them all wins
 * the tile, and one whose greatest stays below the least of another can be left out.
 */
function interpolatedLabels(data, [height, width, classes], frame, target) {
  const axes = [height, width].map((n, i) =>
    axisWeights(n, frame.padded[i], frame.size[i], target[i], frame.sampling, frame.origin[i]),
  );
  const winners = winnersOf(data, classes);
  const labels = new Uint8Array(target[0] * target[1]);
  const best = new Float64Array(TILE * TILE);
  for (let top = 0; top < target[0]; top += TILE) {
    const rows = band(axes[0], top, Math.min(top + TILE, target[0]));
    for (let left = 0; left < target[1]; left += TILE) {
      const columns = band(axes[1], left, Math.min(left + TILE, target[1]));
      const only = onlyWinner(winners, width, rows, columns);
      if (only < 0) {
        const candidates = possible(data, width, classes, rows, columns);
        contest(data, width, classes, axes, rows, columns, candidates, best, labels, target[1]);
        continue;
      }
      for (let y = rows.start; y < rows.end; y++) {
        labels.fill(only, y * target[1] + columns.start, y * target[1] + columns.end);
      }
    }
  }
  return labels;
}

/** Some cells of the target, and the first and last cell of the logits that they read. */
function band({ first, count }, start, end) {
  let low = Infinity;
  let high = -1;
  for (let i = start; i < end; i++) {
    low = Math.min(low, first[i]);
    high = Math.max(high, first[i] + count[i] - 1);
  }
  return { start, end, low, high };
}

function onlyWinner(winners, width, rows, columns) {
  const only = winners[rows.low * width + columns.low];
  for (let y = rows.low; y <= rows.high; y++) {
    for (let x = columns.low; x <= columns.high; x++) {
      if (winners[y * width + x] !== only) return -1;
    }
  }
  return only;
}

function possible(data, width, classes, rows, columns) {
  const greatest = new Float64Array(classes).fill(-Infinity);
  const least = new Float64Array(classes).fill(Infinity);
  for (let y = rows.low; y <= rows.high; y++) {
    for (let x = columns.low; x <= columns.high; x++) {
      for (let k = 0, at = (y * width + x) * classes; k < classes; k++, at++) {
        if (data[at] > greatest[k]) greatest[k] = data[at];
        if (data[at] < least[k]) least[k] = data[at];
      }
    }
  }
  const bar = Math.max(...least);
  return [...greatest.keys()].filter((k) => greatest[k] >= bar);
}

/** Interpolates the candidates over a tile and writes down who wins. */
function contest(data, width, classes, axes, rows, columns, candidates, best, labels, stride) {
  const across = axes[1];
  const line = new Float64Array(columns.high - columns.low + 1);
  best.fill(-Infinity);
  for (const k of candidates) {
    for (let y = rows.start, i = 0; y < rows.end; y++) {
      weighLines(line, data, width, classes, k, axes[0], y, columns);
      for (let x = columns.start; x < columns.end; x++, i++) {
        let value = 0;
        const at = across.first[x] - columns.low;
        for (let j = 0; j < across.count[x]; j++) {
          value += line[at + j] * across.weights[x * across.most + j];
        }
        if (value > best[i]) {
          best[i] = value;
          labels[y * stride + x] = k;
        }
      }
    }
  }
}

/** One class's logits in row `y` of the target, at the columns of the logits. */
function weighLines(line, data, width, classes, k, { first, count, weights, most }, y, columns) {
  line.fill(0);
  for (let j = 0; j < count[y]; j++) {
    const weight = weights[y * most + j];
    let at = ((first[y] + j) * width + columns.low) * classes + k;
    for (let x = 0; x < line.length; x++, at += classes) line[x] += data[at] * weight;
  }
}

/**
 * Logits to the padded size, cut to the model's (or the picture's part), then to the target: what
 * each cell of the target reads, and with which weights.
 */
function axisWeights(source, padded, model, target, sampling, origin) {
  const inner = source === padded ? null : cellsRead(source, padded, sampling);
  const outer = model === target ? null : cellsRead(model, target, HALF_PIXEL);
  const most = 4; // two neighbours that read two cells each
  const result = {
    first: new Int32Array(target),
    count: new Int32Array(target),
    weights: new Float64Array(target * most),
    most,
  };
  for (let i = 0; i < target; i++) {
    const sums = new Map();
    for (const [pixel, share] of outer ? outer[i] : [[i, 1]]) {
      const read = inner ? inner[pixel + origin] : [[pixel + origin, 1]];
      for (const [cell, weight] of read) sums.set(cell, (sums.get(cell) ?? 0) + share * weight);
    }
    const cells = [...sums.keys()].filter((cell) => sums.get(cell) > 0).sort((a, b) => a - b);
    result.first[i] = cells[0];
    result.count[i] = cells.length;
    cells.forEach((cell, j) => (result.weights[i * most + j] = sums.get(cell)));
  }
  return result;
}

/** Pairs (cell, weight) that each of `target` cells reads of `source`, edges repeated. */
function cellsRead(source, target, sampling) {
  const last = source - 1;
  const scale = Math.fround(Math.fround(last) / Math.fround(Math.max(target - 1, 1)));
  const share = Math.fround(source / target);
  const positions = {
    half_pixel: (i) => ((i + 0.5) * source) / target - 0.5,
    aligned: (i) => Math.fround(i * scale),
    nearest: (i) => Math.floor(Math.fround((i + 0.5) * share)),
  };
  return Array.from({ length: target }, (_, i) => {
    const position = positions[sampling](i);
    const low = Math.floor(position);
    const weight = position - low;
    const pair = [low, low + 1].map((cell) => Math.min(Math.max(cell, 0), last));
    return pair[0] === pair[1]
      ? [[pair[0], 1]]
      : [[pair[0], 1 - weight], [pair[1], weight]];
  });
}
