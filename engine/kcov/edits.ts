/** Insertions and replacements in a text, collected during a walk and applied at once. */

/** One insertion; the text may still be changed until `apply`. */
export interface Edit {
  readonly at: number;
  /** End of what the text replaces; equal to `at` for an insertion. */
  readonly to: number;
  /** 0 closes something that ends here, 1 opens something that begins here: closers come first. */
  readonly order: 0 | 1;
  text: string;
}

export class Edits {
  private readonly edits: Edit[] = [];

  /** Inserts before what begins at `at`: outer nodes call first. */
  open(at: number, text: string): Edit {
    return this.add({ at, to: at, order: 1, text });
  }

  /** Inserts after what ends at `at`: inner nodes call first. */
  close(at: number, text: string): void {
    this.add({ at, to: at, order: 0, text });
  }

  /** Replaces a range in which nothing else is edited. */
  replace(at: number, to: number, text: string): void {
    this.add({ at, to, order: 1, text });
  }

  private add(edit: Edit): Edit {
    this.edits.push(edit);
    return edit;
  }

  /** The text with every edit made. */
  apply(source: string): string {
    // The sort is stable: edits of one place and order stay in the order they were made.
    const sorted = this.edits.toSorted((a, b) => a.at - b.at || a.order - b.order);
    const pieces: string[] = [];
    let done = 0;
    for (const { at, to, text } of sorted) {
      pieces.push(source.slice(done, at), text);
      done = Math.max(done, to);
    }
    pieces.push(source.slice(done));
    return pieces.join('');
  }
}
