/**
 * strace: each system call as a line, with the thread's number in front. A call that blocks is cut in two,
 * as strace does it: `read(0,  <unfinished ...>` and later `<... read resumed>"x", 1) = 1`.
 *
 * What was said before a call blocked is kept only as "something was said" (Task.syscall_entries), so a
 * call may block on one vCPU and end on another.
 */
import { NO_RESULT } from '../abi/errno.ts';
import { register_cache } from '../base/caches.ts';
import type { Ptr } from '../base/types.ts';
import { U32 } from '../heap/memory.ts';
import { current, current_cpu } from '../kernel/current.ts';
import { Task } from '../kernel/task.layout.ts';
import { R8, R9, R10, RDI, RDX, RSI } from '../machine/cpu.layout.ts';
import { get_user_u8 } from '../mm/uaccess.ts';
import { type Argument, parse_arguments } from '../syscalls/args_spec.ts';
import type { SyscallTracer } from '../syscalls/dispatch.ts';
import { SYSCALLS } from '../syscalls/table.ts';
import { format_argument, format_result, is_output, type TraceSource } from './format.ts';

const REGISTERS = [RDI, RSI, RDX, R10, R8, R9];

const source: TraceSource = {
  lo: (n) => U32[(current_cpu + (REGISTERS[n] as number) * 8) >> 2] as number,
  hi: (n) => U32[(current_cpu + (REGISTERS[n] as number) * 8 + 4) >> 2] as number,
  byte: (address) => get_user_u8(address),
};

const parsed = new Map<number, readonly Argument[]>();
register_cache('argument types', () => parsed.clear());

function arguments_of(number: number): readonly Argument[] {
  let list = parsed.get(number);
  if (list === undefined) {
    const row = SYSCALLS[number];
    list = row === undefined ? [] : parse_arguments(row);
    parsed.set(number, list);
  }
  return list;
}

function name_of(number: number): string {
  return SYSCALLS[number]?.name ?? `syscall_${(number >>> 0).toString(16)}`;
}

/** The arguments from `first` to the last, in words. */
function words(number: number, first: number, last: number, result: number): string {
  const list = arguments_of(number);
  const shown: string[] = [];
  for (let n = first; n < last; n++) shown.push(format_argument(list[n] as Argument, n, source, result));
  return shown.join(', ');
}

/** How many arguments are known before the call: those in front of the first that the kernel fills. */
function known_before(number: number): number {
  const list = arguments_of(number);
  const output = list.findIndex(is_output);
  return output < 0 ? list.length : output;
}

/** A tracer that gives each line, with its newline, to `write`. */
export function make_tracer(write: (line: string) => void): SyscallTracer {
  // The head of the call in progress on this thread; gone after a block.
  let head = '';
  let owner = 0 as Ptr<'Task'>;
  return {
    enter(number) {
      owner = current;
      head = `[${Task.tid.get(current)}] ${name_of(number)}(${words(number, 0, known_before(number), -1)}`;
    },
    block(number) {
      if (owner !== current) return;
      const more = known_before(number) < arguments_of(number).length ? ', ' : '';
      write(`${head}${more} <unfinished ...>\n`);
      owner = 0 as Ptr<'Task'>;
    },
    leave(number, result) {
      const before = known_before(number);
      const list = arguments_of(number);
      const separator = before > 0 && before < list.length && owner === current ? ', ' : '';
      const start = owner === current ? head : `[${Task.tid.get(current)}] <... ${name_of(number)} resumed>`;
      const rest = result === NO_RESULT ? '' : words(number, before, list.length, result);
      const shown = result === NO_RESULT ? '?' : format_result(result, SYSCALLS[number]?.result === 'ptr');
      write(`${start}${rest === '' ? '' : separator + rest}) = ${shown}\n`);
      owner = 0 as Ptr<'Task'>;
    },
  };
}
