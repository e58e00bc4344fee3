/** The classes: colour, name, share of the picture; each can be hidden. */

export class Legend {
  #hidden = new Set();
  #entries = [];

  /**
   * @param {HTMLUListElement} list
   * @param {(hidden: Set<number>) => void} onHide gets the classes that are not to be shown
   */
  constructor(list, onHide) {
    this.list = list;
    this.onHide = onHide;
  }

  /** Lists a model's classes. */
  name({ names, colors }) {
    this.#hidden.clear();
    this.onHide(this.#hidden);
    this.#entries = names.map((name, i) => this.#entry(name, `rgb(${colors[i].join(' ')})`, i));
    this.list.classList.add('unseen');
    this.list.replaceChildren(...this.#entries.map(({ item }) => item));
  }

  /** Writes each class's share, 0..1; without any, nothing has been seen yet. */
  update(shares = []) {
    this.list.classList.toggle('unseen', !shares.length);
    this.#entries.forEach(({ button, share, measure }, i) => {
      const value = shares[i];
      share.textContent = value === undefined ? '' : percent(value);
      button.classList.toggle('absent', !value);
      measure.style.transform = `scaleX(${value ?? 0})`;
    });
  }

  #entry(name, color, index) {
    const item = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('aria-pressed', 'true');
    const [swatch, title, share, measure] = ['swatch', 'name', 'share', 'measure'].map((kind) => {
      const part = document.createElement('span');
      part.className = kind;
      button.append(part);
      return part;
    });
    title.textContent = name;
    swatch.style.background = color;
    button.addEventListener('click', () => {
      if (!this.#hidden.delete(index)) this.#hidden.add(index);
      button.setAttribute('aria-pressed', String(!this.#hidden.has(index)));
      this.onHide(this.#hidden);
    });
    item.append(button);
    return { item, button, share, measure };
  }
}

/** A share of 0..1 with one digit behind the point. */
export function percent(share) {
  return `${(share * 100).toFixed(1)} %`;
}
