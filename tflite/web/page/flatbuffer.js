/** Reads FlatBuffers tables. Whatever points outside of the file throws a RangeError. */

const decoder = new TextDecoder();

export class Table {
  /**
   * @param {DataView} view of the whole file
   * @param {number} position of the table in it
   */
  constructor(view, position) {
    this.view = view;
    this.position = position;
    this.layout = position - view.getInt32(position, true);
    this.size = view.getUint16(this.layout, true);
  }

  /** The table at the root of a file. */
  static root(view) {
    return new Table(view, view.getUint32(0, true));
  }

  /** Where a field lies; 0 for one that is left out. */
  field(index) {
    const slot = 4 + 2 * index;
    const offset = slot < this.size ? this.view.getUint16(this.layout + slot, true) : 0;
    return offset && this.position + offset;
  }

  byte(index) {
    const at = this.field(index);
    return at ? this.view.getInt8(at) : 0;
  }

  uint(index) {
    const at = this.field(index);
    return at ? this.view.getUint32(at, true) : 0;
  }

  ulong(index) {
    const at = this.field(index);
    return at ? Number(this.view.getBigUint64(at, true)) : 0;
  }

  table(index) {
    const at = this.field(index);
    return at ? new Table(this.view, this.follow(at)) : null;
  }

  string(index) {
    return decoder.decode(this.bytes(index));
  }

  /** A vector of bytes, as a view into the file. */
  bytes(index) {
    const [start, length] = this.vector(index, 1);
    return new Uint8Array(this.view.buffer, this.view.byteOffset + start, length);
  }

  ints(index) {
    const [start, length] = this.vector(index, 4);
    return Array.from({ length }, (_, i) => this.view.getInt32(start + 4 * i, true));
  }

  floats(index) {
    const [start, length] = this.vector(index, 4);
    return Array.from({ length }, (_, i) => this.view.getFloat32(start + 4 * i, true));
  }

  tables(index) {
    const [start, length] = this.vector(index, 4);
    return Array.from(
      { length },
      (_, i) => new Table(this.view, this.follow(start + 4 * i)),
    );
  }

  follow(at) {
    return at + this.view.getUint32(at, true);
  }

  /** Where a vector's elements begin, and how many they are; all of them lie in the file. */
  vector(index, bytes) {
    const at = this.field(index);
    if (!at) return [0, 0];
    const start = this.follow(at);
    const length = this.view.getUint32(start, true);
    if (start + 4 + length * bytes > this.view.byteLength) throw new RangeError('vector');
    return [start + 4, length];
  }
}
