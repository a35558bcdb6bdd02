/**
 * Queues of work, composed from small ones. A source does one step (a program, or a few that belong together) and
 * says whether there was anything to do:
 *
 *     order(a, b)            b only when a has nothing to do
 *     alternate(n, a, b)     a first, but every n-th step asks b first
 *     Jobs                   jobs in order of arrival, each until it has no more steps
 */
export interface Source {
  /** Does one step; false when there is nothing to do. */
  step(): boolean;
}

/** The first of the sources that has something to do. */
export function order(...sources: readonly Source[]): Source {
  return { step: () => sources.some((source) => source.step()) };
}

/** `first`, with every n-th step offered to `second` first; each fills in for the other. */
export function alternate(n: number, first: Source, second: Source): Source {
  let steps = 0;
  return {
    step: () => {
      const turn = ++steps % n === 0;
      return turn ? second.step() || first.step() : first.step() || second.step();
    },
  };
}

/** Jobs in order of arrival. */
export class Jobs implements Source {
  private jobs: Source[] = [];
  private next = 0;

  push(job: Source): void {
    this.jobs.push(job);
  }

  get length(): number {
    return this.jobs.length - this.next;
  }

  step(): boolean {
    while (this.next < this.jobs.length) {
      if (this.jobs[this.next]!.step()) return true;
      this.next++;
      if (this.next > 64 && this.next * 2 > this.jobs.length) {
        this.jobs = this.jobs.slice(this.next);
        this.next = 0;
      }
    }
    return false;
  }
}

/** A job of one step. */
export function once(work: () => void): Source {
  return times(1, work);
}

/** A job of `count` steps. */
export function times(count: number, work: (i: number) => void): Source {
  let done = 0;
  return {
    step: () => {
      if (done >= count) return false;
      work(done++);
      return true;
    },
  };
}
