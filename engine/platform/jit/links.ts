/** The ways out of a region and the links that they have (interp/chain.ts): which are whose. */
import { assert } from '../../base/assert.ts';
import { MAX_LINKS } from '../../machine/vcpu.layout.ts';
import { WAY_COUNT_SHIFT, WAY_LINK_SHIFT } from '../interp/chain.ts';

/** Links of a way out with one target, and with several: powers of 2. */
export const DIRECT = 1;
export const INDIRECT = 8;
/** Links of a region at most; further ways out share them with the first, which does no harm. */
export const REGION_LINKS = 1024;

export class Links {
  private readonly first: number;
  private next = 0;
  /** How many there are. */
  used = 0;

  /** `first` is the number of the region's first link, at most MAX_LINKS - REGION_LINKS. */
  constructor(first: number) {
    assert(first >= 0 && first + REGION_LINKS <= MAX_LINKS, 'links of a region are in a row');
    this.first = first;
  }

  /** The word for a way out with so many links, DIRECT or INDIRECT, of its own. */
  way(count: number): number {
    if (this.next + count > REGION_LINKS) this.next = 0;
    const first = this.first + this.next;
    this.next += count;
    this.used = Math.max(this.used, this.next);
    return (first << WAY_LINK_SHIFT) | (count << WAY_COUNT_SHIFT);
  }
}
