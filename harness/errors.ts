/** Errors of the harness, and the exit statuses of its command line. */
import { TvisorError } from '../engine/runtime/errors.ts';

/** Nothing found, or the time is up. */
export const EXIT_CLEAN = 0;
/** The command line cannot be understood. */
export const EXIT_USAGE = 2;
/** Something was found. */
export const EXIT_FINDING = 77;
/** The harness itself cannot go on. */
export const EXIT_ERROR = 78;
/** Ctrl-C or SIGTERM. */
export const EXIT_INTERRUPTED = 130;

/** What the harness cannot do, and what to do about it, in one line. */
export class HarnessError extends TvisorError {
  override readonly name: string = 'HarnessError';

  constructor(message: string, remedy: string, status: number = EXIT_ERROR) {
    super(message, remedy, status);
  }

  override line(): string {
    return `tvisor-harness: ${this.message}${this.remedy === '' ? '' : `; ${this.remedy}`}`;
  }
}

/** A command line that does not say what to do. */
export function usage_error(message: string, remedy: string): HarnessError {
  return new HarnessError(message, remedy, EXIT_USAGE);
}

/** The text of anything that was thrown. */
export function message_of(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
