/**
 * The label map at the input's size from logits at 1/8 of it, exactly, without upsampling them all:
 * fastscnn_tf/runtime/upsample.py in JavaScript.
 *
 * Bilinear upsampling by 8 lays an 8x8 block of pixels between every four neighbouring logits (at
 * the edges the outermost count twice). A class that wins all four corners wins the whole block;
 * only blocks on borders of classes are interpolated, and of them only the classes that may win:
 * those whose greatest corner reaches the best of the classes' least corners.
 *
 * The weights are products of odd sixteenths: of integer logits the sums are integers, which a
 * double holds exactly, so that the labels are those of integer arithmetic.
 */

export const FACTOR = 8;
const BLOCK = FACTOR * FACTOR;

/**
 * The winning class of each cell; the lowest index wins a tie.
 *
 * @param {ArrayLike<number>} logits (cells, classes)
 * @param {number} classes
 * @returns {Uint8Array} (cells)
 */
export function winnersOf(logits, classes) {
  const cells = logits.length / classes;
  const winners = new Uint8Array(cells);
  for (let cell = 0, at = 0; cell < cells; cell++, at += classes) {
    let best = logits[at];
    for (let c = 1; c < classes; c++) {
      if (logits[at + c] > best) {
        best = logits[at + c];
        winners[cell] = c;
      }
    }
  }
  return winners;
}

/**
 * The winning class at every pixel of bilinearly upsampled logits.
 *
 * @param {ArrayLike<number>} logits (height, width, classes), integers or finite floats, all
 *     classes on one scale, at most 256 of them
 * @param {number} height of the logits
 * @param {number} width of the logits
 * @param {number} classes
 * @returns {Uint8Array} (8 height, 8 width) class indices; the lowest index wins a tie
 */
export function upsampledLabels(logits, height, width, classes) {
  const winners = winnersOf(logits, classes);
  const labels = nearestLabels(winners, height, width);
  const block = new Block(logits, classes);
  for (let y = 0; y <= height; y++) {
    const above = Math.max(y - 1, 0) * width;
    const below = Math.min(y, height - 1) * width;
    for (let x = 0; x <= width; x++) {
      const left = Math.max(x - 1, 0);
      const right = Math.min(x, width - 1);
      const winner = winners[above + left];
      if (
        winner !== winners[above + right] ||
        winner !== winners[below + left] ||
        winner !== winners[below + right]
      ) {
        block.interpolate(above + left, above + right, below + left, below + right);
        block.write(labels, height, width, y, x);
      }
    }
  }
  return labels;
}

/** Where all four corners agree, so does the nearest. */
function nearestLabels(winners, height, width) {
  const stride = width * FACTOR;
  const labels = new Uint8Array(height * FACTOR * stride);
  for (let y = 0; y < height; y++) {
    const start = y * FACTOR * stride;
    for (let x = 0; x < width; x++) {
      labels.fill(winners[y * width + x], start + x * FACTOR, start + (x + 1) * FACTOR);
    }
    for (let k = 1; k < FACTOR; k++) labels.copyWithin(start + k * stride, start, start + stride);
  }
  return labels;
}

/** An 8x8 block of pixels between four cells of the logits. */
class Block {
  constructor(logits, classes) {
    this.logits = logits;
    this.classes = classes;
    this.labels = new Uint8Array(BLOCK);
    this.best = new Float64Array(BLOCK);
  }

  /** Finds the winners, from the four corners' cells. */
  interpolate(...cells) {
    const { logits, classes, labels, best } = this;
    const [a, b, c, d] = cells.map((cell) => cell * classes);
    let least = -Infinity;
    for (let k = 0; k < classes; k++) {
      least = Math.max(
        least,
        Math.min(logits[a + k], logits[b + k], logits[c + k], logits[d + k]),
      );
    }
    best.fill(-Infinity);
    for (let k = 0; k < classes; k++) {
      const [p, q, r, s] = [logits[a + k], logits[b + k], logits[c + k], logits[d + k]];
      if (Math.max(p, q, r, s) < least) continue;
      for (let y = 0, i = 0; y < FACTOR; y++) {
        const low = 2 * y + 1; // of 16: what the lower corners weigh
        const left = p * (16 - low) + r * low;
        const right = q * (16 - low) + s * low;
        for (let x = 1; x < 16; x += 2, i++) {
          const value = left * (16 - x) + right * x;
          if (value > best[i]) {
            best[i] = value;
            labels[i] = k;
          }
        }
      }
    }
  }

  /** Puts the block where it lies; what is outside of the label map is left out. */
  write(target, height, width, row, column) {
    const stride = width * FACTOR;
    for (let y = 0; y < FACTOR; y++) {
      const to = row * FACTOR - FACTOR / 2 + y;
      if (to < 0 || to >= height * FACTOR) continue;
      for (let x = 0; x < FACTOR; x++) {
        const at = column * FACTOR - FACTOR / 2 + x;
        if (at >= 0 && at < stride) target[to * stride + at] = this.labels[y * FACTOR + x];
      }
    }
  }
}
