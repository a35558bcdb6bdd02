/** Chooses where in the data area memory of a program lies. */
import { DATA_PAGES, DATA_SIZE } from './model.ts';
import type { Random } from './random.ts';

/** Pointees start at multiples of this, so that they seldom touch. */
const GRANULE = 64;
/** Pointees lie in the first 256 KiB, pages in use at the end of the area: the two seldom meet. */
const HEAP_SIZE = 256 * 1024;
const GRANULES = HEAP_SIZE / GRANULE;

/** A word whose granules are all taken. */
const ALL = -1;

/** Bytes for pointees: the first free place. */
export class DataMemory {
  /** A bit for each granule; words behind the end are 0. Most programs use a few. */
  private readonly used: number[] = [];

  /** Marks the bytes as taken. */
  note(address: number, size: number): void {
    const first = Math.floor(address / GRANULE);
    const last = Math.min(Math.floor((address + Math.max(size, 1) - 1) / GRANULE), GRANULES - 1);
    while (this.used.length <= last >>> 5) this.used.push(0);
    for (let i = first; i <= last; i++) this.used[i >>> 5]! |= 1 << (i & 31);
  }

  /** An address for `size` bytes. When no place is free, everything is: programs may overlap their memory. */
  allocate(size: number): number {
    const count = Math.max(1, Math.ceil(size / GRANULE));
    if (count > GRANULES) return Math.max(0, DATA_SIZE - count * GRANULE);
    const found = this.find(count);
    if (found < 0) this.used.length = 0;
    const address = Math.max(found, 0) * GRANULE;
    this.note(address, size);
    return address;
  }

  private find(count: number): number {
    let free = 0;
    for (let i = 0; i < GRANULES; i++) {
      const word = i >>> 5 < this.used.length ? this.used[i >>> 5]! : 0;
      if (word === ALL && (i & 31) === 0) {
        free = 0;
        i += 31;
        continue;
      }
      free = (word & (1 << (i & 31))) === 0 ? free + 1 : 0;
      if (free === count) return i - count + 1;
    }
    return -1;
  }
}

/** Pages for calls on address spaces: often those that an earlier call used, or their neighbours. */
export class PageMemory {
  private readonly used: [page: number, count: number][] = [];

  note(page: number, count: number): void {
    this.used.push([page, count]);
  }

  /** The first of `count` pages. */
  allocate(random: Random, count: number): number {
    const most = DATA_PAGES - count;
    if (this.used.length === 0 || random.one_in(5)) return most - random.small(Math.min(most, 64));
    const [page, taken] = random.pick(this.used);
    const shift = random.one_in(2) ? 0 : random.between(-count, taken);
    return Math.max(0, Math.min(most, page + shift));
  }
}
