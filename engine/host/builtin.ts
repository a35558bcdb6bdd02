/** Modules of Node's that few starts need: loading `node:crypto` takes 2 ms, `node:child_process` 1 ms. */
import { createRequire } from 'node:module';

/** Loads one of Node's own modules when it is needed, synchronously. */
export const load_builtin = createRequire(import.meta.url) as {
  (name: 'node:crypto'): typeof import('node:crypto');
  (name: 'node:child_process'): typeof import('node:child_process');
};
