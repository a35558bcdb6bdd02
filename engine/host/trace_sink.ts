/** Where traces go: a host file or stderr, written at once, a whole line at a time. */
import { openSync, writeSync } from 'node:fs';
import { handle_opened } from './handles.ts';

/**
 * A function that appends to a host file ('-' is stderr), for as long as the bound machine is open. Throws the host's
 * error when it cannot be opened.
 */
export function open_trace(path: string): (line: string) => void {
  const fd = path === '-' ? 2 : handle_opened(openSync(path, 'a', 0o644));
  return (line) => {
    try {
      writeSync(fd, line);
    } catch {
      // A trace that nobody reads any more must not end the machine.
    }
  };
}
