/** The page's side of the worker that runs the network. */

import { InputError } from './errors.js';

export class Engine {
  #worker = null;
  #opening = null; // a worker that loads a model
  #waiting = new Map();
  #count = 0;

  /** Whether a model is loaded and the worker is well. */
  get ready() {
    return this.#worker !== null;
  }

  /**
   * Loads a model into a worker of its own, which takes the last one's place once it is ready. What
   * was still being loaded is given up.
   *
   * @param {ArrayBuffer} content of the .tflite
   * @param {string} name of the file
   * @param {{accelerator: string, threads: number, precision: string}} backend
   * @returns {Promise<{file: object, notes: string[]}>}
   * @throws {InputError} the file cannot be run; what ran before still does
   */
  async open(content, name, backend) {
    this.#stop(this.#opening);
    const worker = this.#start();
    this.#opening = worker;
    try {
      const result = await this.#ask(worker, { action: 'open', content, name, backend });
      this.#stop(this.#worker);
      this.#worker = worker;
      return result;
    } catch (error) {
      this.#stop(worker);
      throw error;
    } finally {
      if (this.#opening === worker) this.#opening = null;
    }
  }

  /**
   * @param {File | ImageBitmap} source a bitmap is moved, and comes back
   * @param {'resize' | 'letterbox'} fit
   * @returns {Promise<object>} labels, shares, bitmap and times, see worker.js
   */
  segment(source, fit) {
    const moved = source instanceof ImageBitmap ? [source] : [];
    return this.#ask(this.#worker, { action: 'segment', source, fit }, moved);
  }

  #start() {
    const worker = new Worker('worker.js');
    worker.onmessage = ({ data: { id, result, error } }) => {
      const asked = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (!error) return asked?.resolve(result);
      asked?.reject(error.expected ? new InputError(error.message) : new Error(error.message));
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#stop(worker, new Error(event.message || 'the worker ended'));
    };
    return worker;
  }

  #stop(worker, reason = new Stopped()) {
    worker?.terminate();
    if (worker === this.#worker) this.#worker = null;
    for (const [id, waiting] of this.#waiting) {
      if (waiting.worker !== worker) continue;
      this.#waiting.delete(id);
      waiting.reject(reason);
    }
  }

  #ask(worker, message, moved = []) {
    if (!worker) return Promise.reject(new Stopped());
    const id = ++this.#count;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { worker, resolve, reject });
      worker.postMessage({ id, ...message }, moved);
    });
  }
}

/** Another model took the place of the one that was asked. */
export class Stopped extends Error {}
