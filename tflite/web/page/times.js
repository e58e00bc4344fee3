/** The table of milliseconds, and pictures per second. */

const STEPS = ['decode', 'resize', 'network', 'labels', 'drawing'];
const WINDOW = 2000; // milliseconds over which pictures are counted

export class Times {
  #cells = new Map();
  #ends = [];

  /**
   * @param {HTMLTableSectionElement} body
   * @param {HTMLElement} pace on the picture, for many of them: how long one takes, and how many come
   */
  constructor(body, pace) {
    this.pace = pace;
    for (const step of [...STEPS, 'total', 'rate']) {
      const row = body.insertRow();
      if (step === 'total') row.className = 'total';
      const head = document.createElement('th');
      head.scope = 'row';
      head.textContent = step === 'rate' ? 'Pictures per second' : capital(step);
      row.append(head);
      this.#cells.set(step, row.insertCell());
    }
  }

  /**
   * Writes the times of a picture.
   *
   * @param {object} times milliseconds of each step
   * @param {boolean} live whether it is one of many, so that they can be counted
   */
  show(times, live) {
    let total = 0;
    for (const step of STEPS) {
      total += times[step];
      this.#cells.get(step).textContent = `${times[step].toFixed(1)} ms`;
    }
    this.#cells.get('total').textContent = `${total.toFixed(1)} ms`;
    const rate = this.#rate(live);
    this.#cells.get('rate').textContent = rate;
    this.pace.textContent = `${total.toFixed(0)} ms, ${rate} per second`;
    this.pace.hidden = rate === '';
  }

  /** Pictures per second over the last ones; empty where they do not follow each other. */
  #rate(live) {
    const now = performance.now();
    this.#ends = live ? recent([...this.#ends, now]) : [];
    const passed = now - this.#ends[0];
    return this.#ends.length > 1 ? (((this.#ends.length - 1) * 1000) / passed).toFixed(1) : '';
  }
}

/** Those of some moments, in order, that are counted: the last two count however far apart. */
export function recent(ends) {
  return ends.filter((end, i) => ends.at(-1) - end < WINDOW || i >= ends.length - 2);
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
