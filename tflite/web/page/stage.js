/** The picture with its label map over it. */

export class Stage {
  #overlay = document.createElement('canvas');
  #hidden = new Set();
  #shown = null;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d', { alpha: false });
    this.opacity = 0.6;
  }

  /** What is shown: `{bitmap, labels, colors, names}`, or null. */
  get shown() {
    return this.#shown;
  }

  /**
   * Shows a picture.
   *
   * @param {ImageBitmap} bitmap is closed when the next one comes
   * @param {Uint8Array} labels (height, width) class indices of the same size
   * @param {{colors: number[][], names: string[]}} file whose classes they are
   */
  show(bitmap, labels, { colors, names }) {
    if (this.#shown?.bitmap !== bitmap) this.#shown?.bitmap.close();
    this.#shown = { bitmap, labels, colors, names };
    for (const canvas of [this.canvas, this.#overlay]) {
      if (canvas.width !== bitmap.width) canvas.width = bitmap.width;
      if (canvas.height !== bitmap.height) canvas.height = bitmap.height;
    }
    this.canvas.hidden = false;
    this.#paint();
    this.draw();
  }

  /** Hides classes, and shows all others. */
  hide(classes) {
    this.#hidden = classes;
    if (!this.#shown) return;
    this.#paint();
    this.draw();
  }

  /** Draws picture and colours anew. */
  draw() {
    if (!this.#shown) return;
    this.context.globalAlpha = 1;
    this.context.drawImage(this.#shown.bitmap, 0, 0);
    this.context.globalAlpha = this.opacity;
    this.context.drawImage(this.#overlay, 0, 0);
  }

  /** Name of the class under a point of the window, or an empty text. */
  classAt(x, y) {
    if (!this.#shown) return '';
    const { width, height } = this.canvas;
    const box = this.canvas.getBoundingClientRect();
    const scale = Math.min(box.width / width, box.height / height); // object-fit: contain
    const column = Math.floor((x - box.left - (box.width - width * scale) / 2) / scale);
    const row = Math.floor((y - box.top - (box.height - height * scale) / 2) / scale);
    if (column < 0 || row < 0 || column >= width || row >= height) return '';
    return this.#shown.names[this.#shown.labels[row * width + column]] ?? '';
  }

  #paint() {
    const { labels, colors } = this.#shown;
    const { width, height } = this.#overlay;
    const picture = new ImageData(width, height);
    const table = new Uint32Array(256);
    const bytes = new Uint8Array(table.buffer); // in the machine's order, as the picture's are
    colors.forEach((color, i) => {
      if (!this.#hidden.has(i)) bytes.set([...color, 255], i * 4);
    });
    const words = new Uint32Array(picture.data.buffer);
    for (let i = 0; i < words.length; i++) words[i] = table[labels[i]];
    this.#overlay.getContext('2d').putImageData(picture, 0, 0);
  }
}
