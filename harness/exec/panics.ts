/** From what the kernel threw to the structured report of a panic. */
import { KernelPanic } from '../../engine/base/assert.ts';
import type { PanicInfo } from './executor.ts';

/** Functions that report what another did wrong. */
const REPORTERS = new Set([
  'panic',
  'assert',
  'report',
  'expect_words',
  'report_byte',
  'check_order',
  'lock',
  'unlock',
  'sanitized_cell',
  'unsanitized_record',
  'Slab.alloc',
  'Slab.free',
  'new KernelPanic',
]);

/** The function in which it happened: the innermost of the stack that is no reporter; bundlers append `$1` to some. */
function function_of(stack: string): string {
  for (const line of stack.split('\n')) {
    const at = line.indexOf('at ');
    if (at < 0 || line.slice(0, at).trim() !== '') continue;
    const rest = line.slice(at + 3);
    const end = rest.indexOf(' (');
    if (end < 0) continue;
    const name = rest.slice(0, end).replace(/\$\d+/, '');
    if (!REPORTERS.has(name)) return name;
  }
  return '';
}

/** The report of what `run_vcpu` caught. `call`: index of the call that ran, -1 outside of calls. */
export function panic_info(thrown: unknown, call: number): PanicInfo {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const stack = error.stack ?? '';
  const panicked = error instanceof KernelPanic;
  return {
    kind: panicked ? error.kind : 'exception',
    message: panicked ? error.message : `${error.name}: ${error.message}`,
    function_name: function_of(stack),
    record: panicked ? error.record : '',
    call,
    stack,
  };
}
