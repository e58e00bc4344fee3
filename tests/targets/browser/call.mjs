// Calls a function of one of the page's modules: `node call.mjs MODULE FUNCTION ARGUMENTS RESULT`.
// Arguments are JSON; `{"file": ..., "dtype": ...}` among them stands for the content of a file. A
// typed array, buffer or blob is written to RESULT as it is, anything else as JSON.
import { readFile, writeFile } from 'node:fs/promises';

const ARRAYS = {
  uint8: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  float32: Float32Array,
  buffer: null,
};

async function revive(value) {
  if (Array.isArray(value)) return Promise.all(value.map(revive));
  if (value === null || typeof value !== 'object') return value;
  if ('file' in value) {
    const { buffer, byteOffset, byteLength } = await readFile(value.file);
    const content = buffer.slice(byteOffset, byteOffset + byteLength);
    return value.dtype === 'buffer' ? content : new ARRAYS[value.dtype](content);
  }
  const entries = Object.entries(value).map(async ([key, item]) => [key, await revive(item)]);
  return Object.fromEntries(await Promise.all(entries));
}

function plain(key, value) {
  return ArrayBuffer.isView(value) ? [...value] : value instanceof Map ? [...value] : value;
}

const [module, name, given, out] = process.argv.slice(2);
const functions = await import(module);
let result;
try {
  result = await functions[name](...(await revive(JSON.parse(await readFile(given, 'utf8')))));
} catch (error) {
  if (error.constructor.name !== 'InputError') throw error;
  result = { refused: error.message };
}
if (result instanceof Blob) result = new Uint8Array(await result.arrayBuffer());
await writeFile(out, ArrayBuffer.isView(result) ? result : JSON.stringify(result, plain));
