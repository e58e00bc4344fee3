/** The page: what the controls do. */

import { favourite, listBackends } from './backends.js';
import { Engine, Stopped } from './engine.js';
import { InputError } from './errors.js';
import { Legend, percent } from './legend.js';
import { Player } from './player.js';
import { labelPng } from './png.js';
import { Stage } from './stage.js';
import { Times } from './times.js';

const at = (id) => document.getElementById(id);

const engine = new Engine();
const stage = new Stage(at('view'));
const legend = new Legend(at('legend'), (hidden) => stage.hide(hidden));
const times = new Times(at('times'));
const player = new Player(onPlayerChange);
const own = new Map(); // name -> content of .tflite files that the user opened
let backends = [];
let model = null; // what runs: `{name, content, backend, file}`
let loading = 0; // counts loads: only the last one asked for matters
let picture = null; // the file that is shown, if it is no video
let loop = 0; // counts loops over frames: only the last one goes on

// Messages

function tell(text) {
  at('status').textContent = text;
}

function complain(error) {
  if (error instanceof Stopped) return;
  const text = error instanceof InputError ? error.message : `This failed here: ${error.message}.`;
  at('problem').textContent = text;
  if (!(error instanceof InputError)) console.error(error);
}

/** An action of the user's, which ends an old complaint and may end with a new one. */
function attempt(action) {
  return async (...given) => {
    at('problem').textContent = '';
    try {
      await action(...given);
    } catch (error) {
      complain(error);
    }
  };
}

// The network

/** Runs a model on a backend; where that fails, what ran before goes on. */
async function load(name, backend) {
  const turn = ++loading;
  tell(`Loading ${name} for ${backend.label}`);
  at('stage').setAttribute('aria-busy', 'true');
  try {
    const content = own.get(name) ?? (await fetched(name));
    const { file, notes } = await engine.open(content, name, backend);
    if (turn !== loading) return;
    model = { name, backend, file };
    legend.name(file);
    legend.update();
    at('note').textContent = notes.join(' ');
    at('note').hidden = notes.length === 0;
    tell(`${name} is ready: ${file.size.join(' x ')} pixels, ${file.classes} classes, ${backend.label}.`);
  } catch (error) {
    if (turn === loading) tell(model ? `${model.name} runs as before.` : 'No model is loaded.');
    throw error;
  } finally {
    if (turn === loading) {
      at('model').value = model?.name ?? '';
      at('backend').value = (model?.backend ?? backend).id;
      at('stage').setAttribute('aria-busy', 'false');
    }
  }
  await again();
}

async function fetched(name) {
  const response = await fetch(`models/${encodeURIComponent(name)}`);
  if (!response.ok) throw new InputError(`The server no longer has ${name}: reload the page.`);
  return response.arrayBuffer();
}

function reload() {
  const backend = backends.find((b) => b.id === at('backend').value);
  return load(at('model').value, backend);
}

async function openModel(file) {
  const content = await file.arrayBuffer();
  const known = [...at('model').options].some((option) => option.value === file.name);
  own.set(file.name, content);
  if (!known) at('model').add(new Option(`${file.name} (yours)`, file.name));
  at('model').value = file.name;
  try {
    await reload();
  } catch (error) {
    own.delete(file.name);
    if (!known) [...at('model').options].find((o) => o.value === file.name)?.remove();
    throw error;
  }
}

// What is looked at

/** A file that was chosen or dropped, whatever it is. */
async function take(file) {
  if (/\.tflite$/i.test(file.name)) return openModel(file);
  if (file.type.startsWith('video/')) return startVideo(() => player.openFile(file), file.name);
  if (!file.type.startsWith('image/')) {
    throw new InputError(`${file.name} is neither a picture, a video nor a .tflite file.`);
  }
  const shown = picture;
  picture = file;
  try {
    await showPicture();
  } catch (error) {
    picture = shown;
    throw error;
  }
}

async function showPicture() {
  if (!engine.ready) throw new InputError('No model is loaded: choose one first.');
  const file = picture;
  tell(`Looking at ${file.name}`);
  let seen;
  try {
    seen = await engine.segment(file, at('fit').value);
  } catch (error) {
    tell('');
    throw error;
  }
  endVideo();
  draw(seen, false);
  const { width, height } = seen.bitmap;
  const from = seen.original ? ` (reduced from ${seen.original[1]} x ${seen.original[0]})` : '';
  const summary = inWords(seen.shares);
  tell(`${file.name}, ${width} x ${height}${from}: ${summary}.`);
  at('view').setAttribute('aria-label', `${file.name} in the colours of its classes: ${summary}`);
}

function inWords(shares) {
  const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a]);
  const large = order.filter((i) => shares[i] >= 0.01).slice(0, 5);
  return large.map((i) => `${model.file.names[i]} ${percent(shares[i])}`).join(', ');
}

function draw({ bitmap, labels, shares, times: steps }, live) {
  const start = performance.now();
  stage.show(bitmap, labels, model.file);
  legend.update(shares);
  times.show({ ...steps, drawing: performance.now() - start }, live);
  at('empty').hidden = true;
  at('save-labels').disabled = at('save-overlay').disabled = false;
}

/** What is shown, once more: with another model, backend or fit. */
async function again() {
  if (player.isOpen) onPlayerChange(player.video);
  else if (picture) await showPicture();
}

async function startVideo(open, name) {
  if (!engine.ready) throw new InputError('No model is loaded: choose one first.');
  loop++; // the frames of what was there before are not wanted any more
  picture = null;
  try {
    await open();
  } finally {
    showPlayback();
  }
  tell(`${name} is running.`);
  at('view').setAttribute('aria-label', `${name} in the colours of its classes`);
}

function endVideo() {
  loop++;
  if (player.isOpen) player.close();
  showPlayback();
}

function showPlayback() {
  at('playback').hidden = !player.isOpen || player.isCamera;
  at('camera').textContent = player.isCamera ? 'Stop camera' : 'Start camera';
  at('camera-choice').hidden = !player.isCamera;
}

function onPlayerChange(video) {
  if (!player.isOpen) return;
  at('play').textContent = video.paused ? 'Play' : 'Pause';
  run(video.paused ? () => player.frame() : () => player.nextFrame(), video.paused).catch(complain);
}

/** Frame after frame until another loop begins; the next one is on its way while one is drawn. */
async function run(nextFrame, once) {
  const turn = ++loop;
  const next = async () => engine.segment(await nextFrame(), at('fit').value);
  let coming = next();
  do {
    let seen = null;
    try {
      seen = await coming;
    } catch (error) {
      if (turn !== loop) return;
      if (!(error instanceof Stopped)) throw error; // another model came: the next frame is its
    }
    if (turn !== loop) return seen?.bitmap.close();
    if (!once) coming = next();
    if (seen) draw(seen, !once);
    if (!player.isCamera) at('seek').value = player.video.currentTime / player.video.duration || 0;
  } while (!once);
}

async function startCamera() {
  const choice = at('cameras').value;
  const unplugged = () => {
    endVideo();
    complain(new InputError('The camera has gone.'));
  };
  await startVideo(() => player.openCamera(choice, unplugged), 'Camera');
  const found = await player.cameras();
  if (!found.some((camera) => camera.current)) return;
  const options = found.map((c) => new Option(c.label, c.deviceId, c.current, c.current));
  at('cameras').replaceChildren(...options);
}

async function toggleCamera() {
  if (!player.isCamera) return startCamera();
  endVideo();
  tell('The camera is off.');
}

// Saving

function save(blob, ending) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${(picture?.name ?? 'frame').replace(/\.[^.]*$/, '')}_${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function saveLabels() {
  const { bitmap, labels, colors } = stage.shown;
  save(await labelPng(labels, [bitmap.height, bitmap.width], colors), 'labels.png');
}

async function saveOverlay() {
  save(await new Promise((done) => at('view').toBlob(done, 'image/png')), 'overlay.png');
}

// Controls

function chooser(button, input, action) {
  at(button).addEventListener('click', () => at(input).click());
  at(input).addEventListener('change', attempt(async () => {
    const [file] = at(input).files;
    at(input).value = ''; // so that the same file can be chosen again
    if (file) await action(file);
  }));
}

function wire() {
  chooser('open', 'file', take);
  chooser('open-model', 'model-file', openModel);
  at('camera').addEventListener('click', attempt(toggleCamera));
  at('cameras').addEventListener('change', attempt(startCamera));
  at('model').addEventListener('change', attempt(reload));
  at('backend').addEventListener('change', attempt(reload));
  at('fit').addEventListener('change', attempt(again));
  at('save-labels').addEventListener('click', attempt(saveLabels));
  at('save-overlay').addEventListener('click', attempt(saveOverlay));
  at('opacity').addEventListener('input', () => {
    stage.opacity = at('opacity').valueAsNumber / 100;
    at('opacity-value').textContent = `${at('opacity').value} %`;
    stage.draw();
  });
  at('play').addEventListener('click', attempt(() =>
    player.video.paused ? player.video.play() : player.video.pause(),
  ));
  at('seek').addEventListener('input', () => {
    player.video.pause();
    player.video.currentTime = at('seek').valueAsNumber * player.video.duration;
  });
  wireProbe();
  wireDrop();
}

function wireProbe() {
  const show = ({ clientX, clientY }) => {
    const name = stage.classAt(clientX, clientY);
    at('probe').textContent = name;
    at('probe').hidden = !name;
  };
  at('view').addEventListener('pointerdown', show);
  at('view').addEventListener('pointermove', show);
  at('view').addEventListener('pointerleave', () => (at('probe').hidden = true));
}

function wireDrop() {
  const drag = (on) => document.body.classList.toggle('dragging', on);
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    drag(true);
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) drag(false);
  });
  document.addEventListener('drop', attempt(async (event) => {
    event.preventDefault();
    drag(false);
    const [file] = event.dataTransfer.files;
    if (file) await take(file);
  }));
}

async function begin() {
  wire();
  backends = await listBackends();
  for (const { id, label, missing } of backends) {
    const option = new Option(missing ? `${label}: ${missing}` : label, id);
    option.disabled = Boolean(missing);
    at('backend').add(option);
  }
  at('backend').value = favourite(backends).id;
  const models = await (await fetch('models.json')).json();
  for (const { name, bytes } of models) {
    at('model').add(new Option(`${name} (${(bytes / 1e6).toFixed(1)} MB)`, name));
  }
  if (models.length === 0) throw new InputError('The server has no .tflite files: open one of yours.');
  const small = models.find(({ name }) => name.includes('int8')) ?? models[0];
  at('model').value = small.name;
  await reload();
}

attempt(begin)();
