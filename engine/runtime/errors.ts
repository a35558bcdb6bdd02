/** Errors of the runtime's own: what went wrong and what to do about it, in one line. */

/** A failure of tvisor itself, never of the guest. `status` is the command's exit status. */
export class TvisorError extends Error {
  override readonly name: string = 'TvisorError';
  readonly remedy: string;
  readonly status: number;
  /** More than a line: the report of a kernel panic. */
  readonly report: string;

  constructor(message: string, remedy: string, status = 125, report = '') {
    super(message);
    this.remedy = remedy;
    this.status = status;
    this.report = report;
  }

  /** The one line that a user sees. */
  line(): string {
    return `tvisor: ${this.message}${this.remedy === '' ? '' : `; ${this.remedy}`}`;
  }
}
