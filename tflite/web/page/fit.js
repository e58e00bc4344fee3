/**
 * A picture of any size in a network's input, as fastscnn_tf/runtime/fit.py has it: `resize`
 * stretches it over the whole input, `letterbox` keeps its proportions and fills the rest with the
 * model's mean.
 */

import { resizeImage } from './resample.js';

/** Python's `round`: halves go to the even neighbour. */
export function roundHalfEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

/**
 * The largest box of a picture's proportions in the middle of the model's input.
 *
 * @param {[number, number]} picture its height and width
 * @param {[number, number]} model height and width of the input
 * @returns {{top: number, left: number, height: number, width: number}} in pixels of the input
 */
export function letterboxOf(picture, model) {
  let [height, width] = model;
  // Whole numbers decide which side fills the input.
  if (picture[0] * model[1] >= picture[1] * model[0]) {
    width = Math.max(1, roundHalfEven((picture[1] * model[0]) / picture[0]));
  } else {
    height = Math.max(1, roundHalfEven((picture[0] * model[1]) / picture[1]));
  }
  const top = Math.floor((model[0] - height) / 2);
  const left = Math.floor((model[1] - width) / 2);
  return { top, left, height, width };
}

/**
 * Brings a picture to a network's input size.
 *
 * @param {Uint8ClampedArray} pixels (height, width, 4) RGBA
 * @param {[number, number]} size its height and width
 * @param {[number, number]} model height and width of the input
 * @param {'resize' | 'letterbox'} fit
 * @param {number[]} mean the colour beside a letterboxed picture, 0..255
 * @returns {{image: Uint8Array, box: object | null}} (height, width, 3) RGB, and where the picture
 *     lies in it; null where it covers all of it
 */
export function fitted(pixels, size, model, fit, mean) {
  if (fit === 'resize' || (size[0] === model[0] && size[1] === model[1])) {
    return { image: resizeImage(pixels, size, model), box: null };
  }
  const box = letterboxOf(size, model);
  const inner = resizeImage(pixels, size, [box.height, box.width]);
  const fill = mean.map((value) => Math.min(Math.max(roundHalfEven(value), 0), 255));
  const image = new Uint8Array(model[0] * model[1] * 3);
  for (let i = 0; i < image.length; i++) image[i] = fill[i % 3];
  const row = box.width * 3;
  for (let y = 0; y < box.height; y++) {
    const to = ((box.top + y) * model[1] + box.left) * 3;
    image.set(inner.subarray(y * row, (y + 1) * row), to);
  }
  return { image, box };
}
