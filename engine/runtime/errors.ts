/** Errors of the runtime's own: what went wrong and what to do about it, in one line. */

/** A failure of tvisor itself, never of the guest. `status` is the command's exit status. */
export class TvisorError extends Error {
  override readonly name: string = 'TvisorError';
  readonly remedy: string;
  readonly status: number;

  constructor(message: string, remedy: string, status = 125) {
    super(message);
    this.remedy = remedy;
    this.status = status;
  }

  /** The one line that a user sees. */
  line(): string {
    return `tvisor: ${this.message}${this.remedy === '' ? '' : `; ${this.remedy}`}`;
  }
}
