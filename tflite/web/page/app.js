/** The page: what its controls do. */

import { Legend } from './legend.js';
import { attempt } from './messages.js';
import { Network } from './network.js';
import { labelPng } from './png.js';
import { Stage } from './stage.js';
import { Times } from './times.js';
import { Viewer } from './viewer.js';

const KEPT = 10_000; // milliseconds for which a file that is saved can be fetched

const at = (id) => document.getElementById(id);
const on = (id, event, action) => at(id).addEventListener(event, attempt(action));

const stage = new Stage(at('view'));
const legend = new Legend(at('legend'), (hidden) => stage.hide(hidden));
const network = new Network(async (file) => {
  legend.name(file);
  await viewer.again();
});
const viewer = new Viewer(network, stage, legend, new Times(at('times'), at('pace')));

/** A file that was chosen or dropped, whatever it is. */
function take(file) {
  return /\.tflite$/i.test(file.name) ? network.open(file) : viewer.take(file);
}

/** The page's own picture, for people without one at hand. */
async function takeSample() {
  const answer = await fetch('street.jpg');
  await take(new File([await answer.blob()], 'street.jpg', { type: 'image/jpeg' }));
}

/** A button that opens the browser's dialog for files. */
function wireChooser(button, input, action) {
  on(button, 'click', () => at(input).click());
  on(input, 'change', async () => {
    const [file] = at(input).files;
    at(input).value = ''; // so that the same file can be chosen again
    if (file) await action(file);
  });
}

function wireDrop() {
  const mark = (over) => document.body.classList.toggle('dragging', over);
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    mark(true);
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener(
    'drop',
    attempt(async (event) => {
      event.preventDefault();
      mark(false);
      const [file] = event.dataTransfer.files;
      if (file) await take(file);
    }),
  );
}

/** The name of the class under the pointer. */
function wireProbe() {
  const show = ({ clientX, clientY }) => {
    const name = stage.classAt(clientX, clientY);
    at('probe').textContent = name;
    at('probe').hidden = !name;
  };
  at('view').addEventListener('pointerdown', show);
  at('view').addEventListener('pointermove', show);
  at('view').addEventListener('pointerleave', () => {
    at('probe').hidden = true;
  });
}

function save(blob, ending) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${viewer.name}_${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT);
}

async function saveLabels() {
  const { bitmap, labels, colors } = stage.shown;
  save(await labelPng(labels, [bitmap.height, bitmap.width], colors), 'labels.png');
}

async function saveOverlay() {
  save(await new Promise((done) => at('view').toBlob(done, 'image/png')), 'overlay.png');
}

function fade() {
  const { value } = at('opacity');
  at('opacity-value').textContent = `${value} %`;
  stage.opacity = value / 100;
  stage.draw();
}

wireChooser('open', 'file', take);
wireChooser('open-model', 'model-file', (file) => network.open(file));
wireDrop();
wireProbe();
on('sample', 'click', takeSample);
on('camera', 'click', () => viewer.toggleCamera());
on('cameras', 'change', () => viewer.startCamera());
on('play', 'click', () => viewer.togglePlay());
on('seek', 'input', () => viewer.seek(at('seek').valueAsNumber));
on('opacity', 'input', fade);
on('fit', 'change', () => viewer.again());
on('model', 'change', () => network.reload());
on('backend', 'change', () => network.reload());
on('save-labels', 'click', saveLabels);
on('save-overlay', 'click', saveOverlay);
attempt(() => network.begin())();
