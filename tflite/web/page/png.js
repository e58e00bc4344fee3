/** Writes a label map as a palette PNG, the class index in each pixel, which opens in colours. */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const PALETTE_COLOR = 3;
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/**
 * @param {Uint8Array} labels (height, width) class indices
 * @param {[number, number]} size height and width
 * @param {number[][]} colors RGB of each class
 * @returns {Promise<Blob>}
 */
export async function labelPng(labels, [height, width], colors) {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 8); // bits
  header.setUint8(9, PALETTE_COLOR);
  const rows = new Uint8Array(height * (width + 1)); // each begins with its filter: 0, none
  for (let y = 0; y < height; y++) {
    rows.set(labels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  }
  const palette = new Uint8Array(256 * 3);
  colors.forEach((color, i) => palette.set(color, i * 3));
  const parts = [
    Uint8Array.from(SIGNATURE),
    chunk('IHDR', new Uint8Array(header.buffer)),
    chunk('PLTE', palette),
    chunk('IDAT', await deflated(rows)),
    chunk('IEND', new Uint8Array(0)),
  ];
  return new Blob(parts, { type: 'image/png' });
}

async function deflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(kind, data) {
  const result = new Uint8Array(data.length + 12);
  const view = new DataView(result.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) result[4 + i] = kind.charCodeAt(i);
  result.set(data, 8);
  let crc = ~0;
  for (const byte of result.subarray(4, 8 + data.length)) {
    crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  }
  view.setUint32(8 + data.length, ~crc);
  return result;
}
