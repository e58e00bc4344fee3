/** What is looked at: a picture, a video or a camera, and what comes of it. */

import { Stopped } from './engine.js';
import { InputError } from './errors.js';
import { percent } from './legend.js';
import { complain, tell } from './messages.js';
import { Player } from './player.js';

const at = (id) => document.getElementById(id);

export class Viewer {
  #player = new Player(at('video'), () => this.#follow().catch(complain));
  #picture = null; // the file that is shown, if it is no video
  #loop = 0; // counts loops over frames: only the last one goes on

  /**
   * @param {object} network gives label maps
   * @param {object} stage shows them
   * @param {object} legend names their classes
   * @param {object} times says how long that took
   */
  constructor(network, stage, legend, times) {
    Object.assign(this, { network, stage, legend, times });
  }

  /** What files made of it are called. */
  get name() {
    return (this.#picture?.name ?? 'frame').replace(/\.[^.]*$/, '');
  }

  /** Looks at a picture or a video file. */
  async take(file) {
    if (file.type.startsWith('video/')) {
      return this.#startVideo(() => this.#player.openFile(file), file.name);
    }
    if (!file.type.startsWith('image/')) {
      throw new InputError(`${file.name} is neither a picture, a video nor a .tflite file.`);
    }
    const before = this.#picture;
    this.#picture = file;
    try {
      await this.#showPicture();
    } catch (error) {
      this.#picture = before;
      throw error;
    }
  }

  /** Looks once more: with another model, backend or fit. */
  async again() {
    if (this.#player.isOpen) await this.#follow();
    else if (this.#picture) await this.#showPicture();
  }

  async #showPicture() {
    const file = this.#picture;
    tell(`Looking at ${file.name}`);
    let seen;
    try {
      seen = await this.network.segment(file, at('fit').value);
    } catch (error) {
      tell('');
      throw error;
    }
    this.#endVideo();
    this.#draw(seen, false);
    const { width, height } = seen.bitmap;
    const from = seen.original ? ` (reduced from ${seen.original[1]} x ${seen.original[0]})` : '';
    const summary = inWords(seen.shares, this.network.file.names);
    tell(`${file.name}, ${width} x ${height}${from}: ${summary}.`);
    at('view').setAttribute('aria-label', `${file.name} in the colours of its classes: ${summary}`);
  }

  #draw({ bitmap, labels, shares, times }, live) {
    const start = performance.now();
    this.stage.show(bitmap, labels, this.network.file);
    this.legend.update(shares);
    this.times.show({ ...times, drawing: performance.now() - start }, live);
    at('empty').hidden = true;
    at('save-labels').disabled = at('save-overlay').disabled = false;
  }

  // Videos and cameras

  /** Starts the camera that is chosen, also in place of another one. */
  async startCamera() {
    const choice = at('cameras').value;
    const unplugged = () => {
      this.#endVideo();
      complain(new InputError('The camera has gone.'));
    };
    await this.#startVideo(() => this.#player.openCamera(choice, unplugged), 'Camera');
    const found = await this.#player.cameras();
    if (!found.some(({ current }) => current)) return; // a browser that does not name them
    const options = found.map((c) => new Option(c.label, c.deviceId, c.current, c.current));
    at('cameras').replaceChildren(...options);
  }

  async toggleCamera() {
    if (!this.#player.isCamera) return this.startCamera();
    this.#endVideo();
    tell('The camera is off.');
  }

  togglePlay() {
    const { video } = this.#player;
    return video.paused ? video.play() : video.pause();
  }

  /** Goes to a position of 0..1 in a video, and stays there. */
  seek(position) {
    const { video } = this.#player;
    video.pause();
    video.currentTime = position * video.duration;
  }

  async #startVideo(open, name) {
    this.#loop++; // the frames of what was there before are not wanted any more
    this.#picture = null;
    try {
      await open();
    } finally {
      this.#showPlayback();
    }
    tell(`${name} is running.`);
    at('view').setAttribute('aria-label', `${name} in the colours of its classes`);
  }

  #endVideo() {
    this.#loop++;
    if (this.#player.isOpen) this.#player.close();
    at('pace').hidden = true;
    this.#showPlayback();
  }

  #showPlayback() {
    const { isOpen, isCamera } = this.#player;
    at('playback').hidden = !isOpen || isCamera;
    at('camera').textContent = isCamera ? 'Stop camera' : 'Start camera';
    at('camera-choice').hidden = !isCamera;
  }

  /** Frame after frame while the video plays, one while it stands. */
  async #follow() {
    const player = this.#player;
    if (!player.isOpen) return;
    const { paused } = player.video;
    at('play').textContent = paused ? 'Play' : 'Pause';
    if (paused) await this.#run(() => player.frame(), true);
    else await this.#run(() => player.nextFrame(), false);
  }

  /** Until another loop begins; the next frame is on its way while one is drawn. */
  async #run(nextFrame, once) {
    const turn = ++this.#loop;
    const next = async () => this.network.segment(await nextFrame(), at('fit').value);
    let coming = next();
    do {
      const seen = await coming.catch((error) => {
        if (turn === this.#loop && !(error instanceof Stopped)) throw error;
        return null; // another model has come: the next frame is its
      });
      if (turn !== this.#loop) return seen?.bitmap.close();
      if (!once) coming = next();
      if (seen) this.#draw(seen, !once);
      const { video, isCamera } = this.#player;
      if (!isCamera) at('seek').value = video.currentTime / video.duration || 0;
    } while (!once);
  }
}

function inWords(shares, names) {
  const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a]);
  const large = order.filter((i) => shares[i] >= 0.01).slice(0, 5);
  return large.map((i) => `${names[i]} ${percent(shares[i])}`).join(', ');
}
