/** The files behind a .tflite: a zip archive without compression, as TFLite metadata has it. */

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const END_BYTES = 22;
const decoder = new TextDecoder();

/**
 * @param {ArrayBuffer} content of the .tflite
 * @returns {Map<string, string>} name -> text; empty where no archive follows the model
 */
export function filesBehind(content) {
  const view = new DataView(content);
  const files = new Map();
  const end = content.byteLength - END_BYTES; // a comment would stand behind it: none here
  if (end < 0 || view.getUint32(end, true) !== END) return files;
  const count = view.getUint16(end + 10, true);
  // Offsets may count from the beginning of the file or of the archive: the directory ends here.
  const size = view.getUint32(end + 12, true);
  const shift = end - size - view.getUint32(end + 16, true);
  let at = end - size;
  for (let i = 0; i < count && view.getUint32(at, true) === ENTRY; i++) {
    const stored = view.getUint16(at + 10, true) === 0;
    const bytes = view.getUint32(at + 24, true);
    const [name, extra, comment] = [28, 30, 32].map((o) => view.getUint16(at + o, true));
    const local = view.getUint32(at + 42, true) + shift;
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (stored) {
      const title = decoder.decode(new Uint8Array(content, at + 46, name));
      files.set(title, decoder.decode(new Uint8Array(content, start, bytes)));
    }
    at += 46 + name + extra + comment;
  }
  return files;
}
