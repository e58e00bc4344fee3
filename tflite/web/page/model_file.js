/** What a .tflite says about itself; no interpreter is started. */

import { filesBehind } from './archive.js';
import { InputError } from './errors.js';
import { Table } from './flatbuffer.js';

const OWN = 'fastscnn_tf'; // our JSON among the file's metadata
const MAX_CLASSES = 254; // 254 and 255 have a meaning of their own in label maps
// schema.fbs: fields of the tables, and TensorType
const MODEL = { subgraphs: 2, buffers: 4, metadata: 6 };
const GRAPH = { tensors: 0, inputs: 1, outputs: 2 };
const TENSOR = { shape: 0, type: 1, quantization: 4, signature: 7 };
const TYPES = { 0: 'float32', 2: 'int32', 3: 'uint8', 4: 'int64', 7: 'int16', 9: 'int8' };
const FEEDABLE = ['float32', 'uint8'];
const READABLE = ['float32', 'int32', 'uint8'];

/**
 * @typedef {object} ModelFile
 * @property {string} name of the file
 * @property {[number, number]} size height and width of the input
 * @property {'uint8' | 'float32'} dtype of the input
 * @property {number} classes
 * @property {string[]} names of the classes
 * @property {number[][]} colors RGB of each class
 * @property {number[]} mean 0..255, of the input's normalisation
 * @property {number[]} std
 * @property {string} sampling how logits are upsampled: half_pixel, aligned or nearest
 * @property {boolean} quantized whether the network computes in int8
 */

/**
 * Reads and checks a segmentation .tflite.
 *
 * @param {ArrayBuffer} content
 * @param {string} name for messages
 * @returns {ModelFile}
 */
export function readModelFile(content, name) {
  const mark = content.byteLength >= 8 && new TextDecoder().decode(new Uint8Array(content, 4, 4));
  if (mark !== 'TFL3') {
    throw new InputError(`${name} is not a .tflite file (no TFL3 mark at byte 4).`);
  }
  try {
    return describe(new DataView(content), name);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new InputError(`${name} is a damaged or truncated .tflite file: copy it again.`);
  }
}

function describe(view, name) {
  const model = Table.root(view);
  const own = ownMetadata(model, name);
  const graph = model.tables(MODEL.subgraphs)[0];
  if (!graph) throw new RangeError('no graph');
  const tensors = graph.tables(GRAPH.tensors).map(tensorOf);
  const [inputs, outputs] = [GRAPH.inputs, GRAPH.outputs].map((f) =>
    graph.ints(f).map((i) => {
      if (!tensors[i]) throw new RangeError('tensor');
      return tensors[i];
    }),
  );
  checkShapes(inputs, outputs, name);
  checkTypes(inputs[0], outputs[0], name);
  const { shape } = outputs[0];
  const [, height, width] = inputs[0].shape;
  return {
    name,
    size: [height, width],
    dtype: inputs[0].type,
    mean: threeNumbers(own.mean),
    std: threeNumbers(own.std),
    sampling: samplingOf(own.config),
    quantized: tensors.some((t) => t.type === 'int8' && t.shape.length === 4),
    ...classesOf(own, view.buffer, shape.length === 4 ? shape[3] : 0),
  };
}

/** How the network upsamples its logits. */
function samplingOf(config) {
  if ([config?.nearest].flat().includes('logits')) return 'nearest';
  return [config?.align_corners].flat().includes('logits') ? 'aligned' : 'half_pixel';
}

/** Mean and std where the file does not say. */
function threeNumbers(value) {
  const good = Array.isArray(value) && value.length === 3 && value.every(Number.isFinite);
  return good ? value : [128, 128, 128];
}

function tensorOf(table) {
  const signature = table.ints(TENSOR.signature);
  return {
    shape: table.ints(TENSOR.shape),
    type: TYPES[table.byte(TENSOR.type)] ?? 'another type',
    dynamic: signature.slice(1).includes(-1),
  };
}

function ownMetadata(model, name) {
  const buffers = model.tables(MODEL.buffers);
  buffers.forEach(checkBuffer);
  const entry = model.tables(MODEL.metadata).find((table) => table.string(0) === OWN);
  if (!entry) return {};
  const buffer = buffers[entry.uint(1)];
  if (!buffer) throw new RangeError('buffer');
  try {
    const value = JSON.parse(new TextDecoder().decode(buffer.bytes(0)));
    if (value && typeof value === 'object' && !Array.isArray(value)) return value;
  } catch {
    // told below
  }
  throw new InputError(`${name}: its ${OWN} metadata is no JSON object: export it again.`);
}

/** Weights may lie behind the tables, too; a truncated file is found out before it is run. */
function checkBuffer(buffer) {
  buffer.bytes(0);
  if (buffer.ulong(1) + buffer.ulong(2) > buffer.view.byteLength) throw new RangeError('buffer');
}

function checkShapes(inputs, outputs, name) {
  if (inputs.length !== 1 || outputs.length !== 1) {
    throw new InputError(
      `${name}: expected one input and one output, got ${inputs.length} and ${outputs.length}.`,
    );
  }
  const [{ shape, dynamic }, { shape: result }] = [inputs[0], outputs[0]];
  const fits = shape.length === 4 && shape[0] === 1 && shape[3] === 3 && shape[1] > 0 && shape[2] > 0;
  if (!fits || dynamic || ![3, 4].includes(result.length) || result[0] !== 1) {
    throw new InputError(
      `${name}: expected a picture (1, H, W, 3) of fixed size in and logits or labels out, got ` +
        `(${shape.join(', ')}) and (${result.join(', ')}).`,
    );
  }
  if (result.length === 4 && result[3] > MAX_CLASSES) {
    throw new InputError(`${name}: ${result[3]} classes; a label map has room for ${MAX_CLASSES}.`);
  }
}

function checkTypes(input, output, name) {
  if (!FEEDABLE.includes(input.type)) {
    throw new InputError(
      `${name} takes ${input.type} pictures, which LiteRT.js cannot feed: export it with a uint8 ` +
        'input (the default; the network inside stays int8).',
    );
  }
  if (!READABLE.includes(output.type)) {
    throw new InputError(
      `${name} gives ${output.type}, which LiteRT.js cannot read: export it with a uint8 or ` +
        'float32 output (the default).',
    );
  }
}

/** Names and colours: our own JSON, else the files behind the model, else generated. */
function classesOf(own, content, channels) {
  const files = filesBehind(content);
  const lines = (name) => (files.get(name) ?? '').split('\n').filter((line) => line.trim());
  const rows = lines('colors.csv').slice(1).map((line) => line.split(',').slice(1).map(Number));
  const listed = [own.class_names ?? lines('labels.txt'), own.class_colors ?? rows];
  const [names, colors] = listed.map((list) => (Array.isArray(list) ? list : []));
  const classes = channels || names.length || MAX_CLASSES + 1;
  const indices = [...Array(classes).keys()];
  return {
    classes,
    names: names.length === classes ? names.map(String) : indices.map((i) => `class_${i}`),
    colors: colors.length === classes && colors.every(isColor) ? colors : indices.map(generated),
  };
}

function isColor(color) {
  return Array.isArray(color) && color.length === 3 && color.every((v) => v >= 0 && v <= 255);
}

/** Hues by the golden ratio, two levels of brightness: as `LabelSpace` generates them. */
function generated(i) {
  const value = i % 2 ? 0.95 : 0.65;
  const hue = ((i * 0.618034) % 1) * 6;
  return [5, 3, 1].map((n) => {
    const k = (n + hue) % 6;
    return Math.round(255 * (value - value * 0.75 * Math.max(0, Math.min(k, 4 - k, 1))));
  });
}
