/**
 * A .tflite as a function from pictures to label maps: fastscnn_tf's `Segmenter` on LiteRT.js.
 * Lives in the worker.
 */

import { InputError } from './errors.js';
import { fitted } from './fit.js';
import { readModelFile } from './model_file.js';
import { frameOf, labelsFromOutput } from './postprocess.js';

export class Segmenter {
  /**
   * @param {object} litert the module @litertjs/core, its WebAssembly loaded
   * @param {ArrayBuffer} content of the .tflite
   * @param {string} name of the file, for messages
   * @param {{accelerator: 'wasm' | 'webgpu', threads: number, precision: string}} backend
   * @returns {Promise<Segmenter>}
   */
  static async open(litert, content, name, backend) {
    const file = readModelFile(content, name);
    let model;
    try {
      model = await litert.loadAndCompile(new Uint8Array(content), {
        accelerator: backend.accelerator,
        cpuOptions: { numThreads: backend.threads },
        gpuOptions: { precision: backend.precision },
      });
    } catch (error) {
      throw new InputError(`LiteRT.js refuses ${name} (${brief(error)}).`);
    }
    return new Segmenter(litert, model, file, backend);
  }

  constructor(litert, model, file, backend) {
    this.litert = litert;
    this.model = model;
    this.file = file;
    this.frame = frameOf(file.size, file.sampling);
    this.table = file.dtype === 'float32' ? normalised(file) : null;
    this.notes = notesOn(model, file, backend);
  }

  /**
   * The label map of a picture.
   *
   * @param {ImageData} picture
   * @param {'resize' | 'letterbox'} fit
   * @returns {Promise<{labels: Uint8Array, shares: number[], times: object}>} (height, width) class
   *     indices at the picture's size, each class's share of the pixels, milliseconds of each step
   */
  async segment(picture, fit) {
    const size = [picture.height, picture.width];
    const clock = stopwatch();
    const { image, box } = fitted(picture.data, size, this.file.size, fit, this.file.mean);
    const times = { resize: clock() };
    const output = await this.run(image);
    times.network = clock();
    const labels = labelsFromOutput(output, this.frame, box, size);
    const shares = sharesOf(labels, this.file.classes);
    times.labels = clock();
    return { labels, shares, times };
  }

  /** The network's output for (height, width, 3) bytes of the input's size. */
  async run(image) {
    const values = this.table ? Float32Array.from(image, (v, i) => this.table[i % 3][v]) : image;
    const input = new this.litert.Tensor(values, [1, ...this.file.size, 3]);
    let output;
    try {
      [output] = await this.model.run(input);
      return { data: await output.data(), shape: output.type.layout.dimensions.slice(1) };
    } finally {
      input.delete();
      output?.delete();
    }
  }
}

/** (value - mean) / std of each byte in each channel, in float32 as numpy computes it. */
function normalised({ mean, std }) {
  return mean.map((m, channel) =>
    Float32Array.from({ length: 256 }, (_, value) =>
      Math.fround(value - Math.fround(m)) / Math.fround(std[channel]),
    ),
  );
}

function notesOn(model, file, { accelerator }) {
  if (accelerator !== 'webgpu') return [];
  if (model.options.accelerator !== 'webgpu') {
    return ['The GPU takes only a part of this file: all of it runs on the CPU instead.'];
  }
  const notes = [];
  if (!model.isFullyAccelerated) notes.push('A part of this file runs on the CPU.');
  if (file.quantized) {
    notes.push(
      'WebGPU computes int8 files in floating point, so that labels differ a little and nothing ' +
        'is gained: take the float16 file, or WebAssembly.',
    );
  }
  return notes;
}

function sharesOf(labels, classes) {
  const counts = new Array(256).fill(0);
  for (const label of labels) counts[label]++;
  return counts.slice(0, classes).map((count) => count / labels.length);
}

/** Milliseconds since it was asked last. */
export function stopwatch() {
  let last = performance.now();
  return () => {
    const passed = performance.now() - last;
    last += passed;
    return passed;
  };
}

export function brief(error) {
  return String(error?.message ?? error).replace(/\s+/g, ' ').slice(0, 160);
}
