/**
 * Pillow's `Image.resize` to the bit: bilinear (antialiased when shrinking) for pictures, nearest
 * for label maps. A canvas resamples in other ways, from browser to browser.
 *
 * Bilinear is two passes, each in fixed point with 22 bits and rounded to bytes. Along the rows comes
 * first, unless the height shrinks by more than twice what the width does: so it is measured on
 * Pillow 13. Earlier ones always begin with the rows, which is at most one grey level away.
 */

const BITS = 22;
const HALF = 1 << (BITS - 1);

/**
 * For each cell of the target: the first cell it reads, how many, and what they weigh.
 *
 * @param {number} source cells of an axis to read
 * @param {number} target cells of it to make
 * @returns {{first: Int32Array, count: Int32Array, weights: Int32Array, most: number}}
 */
function coefficients(source, target) {
  const scale = source / target;
  const support = Math.max(scale, 1); // the triangle is as wide as the step, at least one cell
  const most = Math.ceil(support) * 2 + 1;
  const first = new Int32Array(target);
  const count = new Int32Array(target);
  const weights = new Int32Array(target * most);
  const row = new Float64Array(most);
  for (let i = 0; i < target; i++) {
    const center = (i + 0.5) * scale;
    const low = Math.max(Math.trunc(center - support + 0.5), 0);
    const n = Math.min(Math.trunc(center + support + 0.5), source) - low;
    let sum = 0;
    for (let k = 0; k < n; k++) {
      const distance = Math.abs((k + low - center + 0.5) * (1 / support));
      row[k] = distance < 1 ? 1 - distance : 0;
      sum += row[k];
    }
    for (let k = 0; k < n; k++) {
      const share = sum === 0 ? row[k] : row[k] / sum;
      weights[i * most + k] = Math.trunc(0.5 + share * (1 << BITS));
    }
    first[i] = low;
    count[i] = n;
  }
  return { first, count, weights, most };
}

/**
 * Resizes a picture.
 *
 * @param {Uint8Array | Uint8ClampedArray} pixels (height, width, 4) RGBA; alpha is left out
 * @param {[number, number]} size its height and width
 * @param {[number, number]} target the wanted height and width
 * @returns {Uint8Array} (height, width, 3) RGB
 */
export function resizeImage(pixels, [height, width], [rows, columns]) {
  if (height > rows && height - rows > 2 * (width - columns)) {
    return alongRows(alongColumns(pixels, height, width * 4, rows), rows, width, columns);
  }
  return alongColumns(alongRows(pixels, height, width, columns), height, columns * 3, rows);
}

function withoutAlpha(pixels) {
  const rgb = new Uint8Array((pixels.length / 4) * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    rgb[to] = pixels[from];
    rgb[to + 1] = pixels[from + 1];
    rgb[to + 2] = pixels[from + 2];
  }
  return rgb;
}

/** From (height, width, 4) to (height, columns, 3). */
function alongRows(pixels, height, width, columns) {
  if (columns === width) return withoutAlpha(pixels);
  const { first, count, weights, most } = coefficients(width, columns);
  const result = new Uint8Array(height * columns * 3);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < columns; x++) {
      let from = (y * width + first[x]) * 4;
      let red = HALF, green = HALF, blue = HALF;
      for (let k = x * most, end = k + count[x]; k < end; k++, from += 4) {
        const weight = weights[k];
        red += pixels[from] * weight;
        green += pixels[from + 1] * weight;
        blue += pixels[from + 2] * weight;
      }
      // Weights are no less than 0 and sum up to 1 but for their rounding: only 255 can be passed.
      result[to++] = Math.min(red >> BITS, 255);
      result[to++] = Math.min(green >> BITS, 255);
      result[to++] = Math.min(blue >> BITS, 255);
    }
  }
  return result;
}

/** From (height, stride) to (rows, stride). */
function alongColumns(pixels, height, stride, rows) {
  if (rows === height) return pixels;
  const { first, count, weights, most } = coefficients(height, rows);
  const result = new Uint8Array(rows * stride);
  const sums = new Int32Array(stride);
  for (let y = 0; y < rows; y++) {
    sums.fill(HALF);
    for (let k = 0; k < count[y]; k++) {
      const weight = weights[y * most + k];
      const from = (first[y] + k) * stride;
      for (let i = 0; i < stride; i++) sums[i] += pixels[from + i] * weight;
    }
    for (let i = 0, to = y * stride; i < stride; i++) result[to + i] = Math.min(sums[i] >> BITS, 255);
  }
  return result;
}

/**
 * Resizes a label map: nearest, always.
 *
 * @param {Uint8Array} labels (height, width)
 * @param {[number, number]} size its height and width
 * @param {[number, number]} target the wanted height and width
 * @returns {Uint8Array} (height, width)
 */
export function resizeLabels(labels, [height, width], [rows, columns]) {
  if (rows === height && columns === width) return labels;
  const result = new Uint8Array(rows * columns);
  const below = nearest(height, rows);
  const beside = nearest(width, columns);
  for (let y = 0; y < rows; y++) {
    const from = below[y] * width;
    for (let x = 0; x < columns; x++) result[y * columns + x] = labels[from + beside[x]];
  }
  return result;
}

/** The cell that each one of the target shows; the position is summed up, as Pillow does. */
function nearest(source, target) {
  const step = source / target;
  const cells = new Int32Array(target);
  for (let i = 0, position = step * 0.5; i < target; i++, position += step) {
    cells[i] = Math.min(Math.trunc(position), source - 1);
  }
  return cells;
}
