/**
 * The network's thread: decodes, resizes, runs, labels, while the page stays responsive.
 *
 * It gets `{id, action, ...}` and answers `{id, ...}` or `{id, error}`. A classic worker, since
 * LiteRT.js loads its WebAssembly by `importScripts`; modules come by `import()`.
 */
'use strict';

const WASM = new URL('litert/core/wasm/', self.location.href).href;
const THREADED = `${WASM}litert_wasm_threaded_internal.js`;
// Browsers draw nothing into a canvas beyond this, the strictest limit (iOS).
const LARGEST = 4096 * 4096;

let segmenter = null;
let canvas = null;

/** Loads LiteRT.js and compiles a model: `{content, name, backend}`. */
async function open({ content, name, backend }) {
  const threaded = backend.threads > 1;
  // Emscripten takes the worker's own address for its script's: it is told where its files lie.
  self.Module = { locateFile: (file) => WASM + file, mainScriptUrlOrBlob: THREADED };
  const [litert, { Segmenter }] = await Promise.all([
    import('./litert/core/dist/index.js'),
    import('./segmenter.js'),
  ]);
  // JSPI lets WebGPU files wait for the GPU in the midst of WebAssembly, as int8 ones must.
  const jspi = backend.accelerator === 'webgpu' && 'Suspending' in WebAssembly;
  await litert.loadLiteRt(WASM, { threads: threaded, jspi });
  segmenter = await Segmenter.open(litert, content, name, backend);
  return { result: { file: segmenter.file, notes: segmenter.notes } };
}

/**
 * The label map of `source`, a file or a bitmap, and the bitmap it was made of:
 * `{source, fit}`.
 */
async function segment({ source, fit }) {
  const { stopwatch } = await import('./segmenter.js');
  const clock = stopwatch();
  const { bitmap, original } = await decoded(source);
  const picture = pixelsOf(bitmap);
  const decode = clock();
  const { labels, shares, times } = await segmenter.segment(picture, fit);
  return {
    result: { labels, shares, bitmap, original, times: { decode, ...times } },
    transfer: [labels.buffer, bitmap],
  };
}

/** A bitmap, upright and without colour management, as Pillow reads it. */
async function decoded(source) {
  if (source instanceof ImageBitmap) return { bitmap: source, original: null };
  const { InputError } = await import('./errors.js');
  let bitmap;
  try {
    bitmap = await createImageBitmap(source, {
      imageOrientation: 'from-image',
      colorSpaceConversion: 'none',
      premultiplyAlpha: 'none',
    });
  } catch {
    throw new InputError(`${source.name} is not a picture that this browser can read.`);
  }
  const { width, height } = bitmap;
  if (width * height <= LARGEST) return { bitmap, original: null };
  const shrink = Math.sqrt(LARGEST / (width * height));
  const resizeWidth = Math.floor(width * shrink);
  const resizeHeight = Math.floor(height * shrink);
  const smaller = await createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality: 'high' });
  bitmap.close();
  return { bitmap: smaller, original: [height, width] };
}

function pixelsOf(bitmap) {
  const { width, height } = bitmap;
  if (!canvas || canvas.width !== width || canvas.height !== height) {
    canvas = new OffscreenCanvas(width, height);
  }
  // Without alpha: what is transparent lies over black.
  const context = canvas.getContext('2d', { alpha: false, willReadFrequently: true });
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, width, height);
}

const actions = { open, segment };

self.onmessage = async ({ data: { id, action, ...job } }) => {
  try {
    const { result, transfer } = await actions[action](job);
    self.postMessage({ id, result }, transfer ?? []);
  } catch (error) {
    const { InputError } = await import('./errors.js');
    const message = error?.message ?? String(error);
    self.postMessage({ id, error: { message, expected: error instanceof InputError } });
  }
};
