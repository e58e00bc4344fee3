/** The model that runs, and the ones that could: their choosers and their worker. */

import { favourite, listBackends } from './backends.js';
import { Engine } from './engine.js';
import { InputError } from './errors.js';
import { tell } from './messages.js';

const at = (id) => document.getElementById(id);

export class Network {
  #engine = new Engine();
  #own = new Map(); // name -> content of .tflite files that the user opened
  #urls = new Map(); // name -> where the server has the file
  #backends = [];
  #model = null; // what runs: `{name, backend, file}`
  #turn = 0; // counts loads: only the last one asked for matters

  /** @param {(file: object) => Promise<void>} onReady gets what a model says about itself */
  constructor(onReady) {
    this.onReady = onReady;
  }

  /** What the model that runs says about itself, see model_file.js. */
  get file() {
    return this.#model.file;
  }

  /** Fills the choosers and loads the first model. */
  async begin() {
    this.#backends = await listBackends();
    for (const { id, label, missing } of this.#backends) {
      const option = new Option(missing ? `${label}: ${missing}` : label, id);
      option.disabled = Boolean(missing);
      at('backend').add(option);
    }
    at('backend').value = favourite(this.#backends).id;
    const models = await (await fetch('models.json')).json();
    for (const { name, url, bytes } of models) {
      this.#urls.set(name, url);
      at('model').add(new Option(`${titled(name)} (${(bytes / 1e6).toFixed(1)} MB)`, name));
    }
    if (models.length === 0) {
      tell('No model is loaded.');
      throw new InputError('The server has no .tflite files: open one of yours.');
    }
    at('model').value = (models.find(({ name }) => name.includes('int8')) ?? models[0]).name;
    await this.reload();
  }

  /** Runs what the choosers say; where that fails, what ran before goes on. */
  async reload() {
    const turn = ++this.#turn;
    const name = at('model').value;
    const backend = this.#backends.find(({ id }) => id === at('backend').value);
    tell(`Loading ${name} for ${backend.label}`);
    at('stage').setAttribute('aria-busy', 'true');
    try {
      const content = this.#own.get(name) ?? (await fetched(name, this.#urls.get(name)));
      const { file, notes } = await this.#engine.open(content, name, backend);
      if (turn !== this.#turn) return;
      this.#model = { name, backend, file };
      at('note').textContent = notes.join(' ');
      at('note').hidden = notes.length === 0;
    } catch (error) {
      if (turn === this.#turn) tell(this.#model ? `${this.#model.name} runs as before.` : '');
      throw error;
    } finally {
      if (turn === this.#turn) this.#settle(backend);
    }
    const { size, classes } = this.file;
    tell(`${name} is ready: ${size.join(' x ')} pixels, ${classes} classes, ${backend.label}.`);
    await this.onReady(this.file);
  }

  /** Runs a file of the user's. */
  async open(file) {
    const { name } = file;
    const option = [...at('model').options].find(({ value }) => value === name);
    const before = this.#own.get(name);
    this.#own.set(name, await file.arrayBuffer());
    const added = option ? null : new Option(`${titled(name)} (yours)`, name);
    if (added) at('model').add(added);
    at('model').value = name;
    try {
      await this.reload();
    } catch (error) {
      if (before) this.#own.set(name, before);
      else this.#own.delete(name);
      added?.remove();
      throw error;
    }
  }

  /** As `Engine.segment`. */
  segment(source, fit) {
    if (!this.#engine.ready) throw new InputError('No model is loaded: choose one first.');
    return this.#engine.segment(source, fit);
  }

  /** The choosers show what runs. */
  #settle(tried) {
    at('model').value = this.#model?.name ?? '';
    at('backend').value = (this.#model?.backend ?? tried).id;
    at('stage').setAttribute('aria-busy', 'false');
  }
}

async function fetched(name, url) {
  const response = await fetch(url);
  if (!response.ok) throw new InputError(`The server no longer has ${name}: reload the page.`);
  return response.arrayBuffer();
}

function titled(name) {
  return name.replace(/\.tflite$/i, '');
}
