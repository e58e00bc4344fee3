/** Frames of a video file or a camera, the newest one whenever the network is free. */

import { InputError } from './errors.js';

// The network looks at fewer pixels than this; more would only take time to read and resize.
const WANTED = { width: { ideal: 640 }, height: { ideal: 480 } };
const REFUSALS = {
  NotAllowedError: 'The camera was refused: allow it for this page in the browser, and start again.',
  NotFoundError: 'There is no camera here.',
  OverconstrainedError: 'This camera is not there any more: take another one.',
  NotReadableError: 'The camera is in use by another program.',
};

export class Player {
  /**
   * @param {HTMLVideoElement} video plays unseen, but in the page: some phones stop others
   * @param {() => void} onChange is called when it starts, stops or seeks
   */
  constructor(video, onChange) {
    this.video = video;
    for (const event of ['play', 'pause', 'seeked']) video.addEventListener(event, onChange);
  }

  get isCamera() {
    return this.video.srcObject !== null;
  }

  get isOpen() {
    return this.isCamera || this.video.hasAttribute('src');
  }

  /**
   * Plays a file.
   *
   * @throws {InputError} no video that this browser can play
   */
  async openFile(file) {
    this.close();
    this.video.src = URL.createObjectURL(file);
    try {
      await this.video.play();
    } catch {
      this.close();
      throw new InputError(`${file.name} is not a video that this browser can play.`);
    }
    if (this.video.videoWidth) return;
    this.close();
    throw new InputError(`${file.name} has sound but no picture.`);
  }

  /**
   * Starts a camera.
   *
   * @param {string} choice `environment` (back), `user` (front), or a device's id
   * @param {() => void} onEnd is called when it is unplugged
   * @throws {InputError} there is none, or it was refused
   */
  async openCamera(choice, onEnd) {
    this.close();
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new InputError('Browsers give cameras only to pages from https:// or localhost.');
    }
    const facing = ['environment', 'user'].includes(choice);
    const which = facing ? { facingMode: { ideal: choice } } : { deviceId: { exact: choice } };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { ...WANTED, ...which } });
    } catch (error) {
      throw new InputError(REFUSALS[error.name] ?? `The camera cannot be used (${error.message}).`);
    }
    stream.getVideoTracks()[0].addEventListener('ended', onEnd);
    this.video.srcObject = stream;
    await this.video.play();
  }

  /** Cameras with their names, which browsers tell once one of them runs. */
  async cameras() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const found = devices.filter((d) => d.kind === 'videoinput' && d.deviceId && d.label);
    const current = this.video.srcObject?.getVideoTracks()[0].getSettings().deviceId;
    return found.map(({ deviceId, label }) => ({ deviceId, label, current: deviceId === current }));
  }

  /** Ends the camera or lets go of the file. */
  close() {
    this.video.srcObject?.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
    if (this.video.hasAttribute('src')) {
      URL.revokeObjectURL(this.video.src);
      this.video.removeAttribute('src');
      this.video.load();
    }
  }

  /** Resolves with the next frame that comes; upright, whichever way the device is held. */
  async nextFrame() {
    await new Promise((resolve) => {
      if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(resolve);
      else requestAnimationFrame(resolve);
    });
    return this.frame();
  }

  /** The frame that is there now. */
  frame() {
    return createImageBitmap(this.video);
  }
}
