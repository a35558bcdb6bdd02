/**
 * Variants of a program whose calls run at the same time, to find what locks forget:
 *
 *     assign_async   calls run beside those that follow them, unless a later call needs what they make
 *     duplicate      a call runs twice at once, on the same arguments
 *
 * Both answer a new program, or `undefined` where the program offers nothing.
 */
import { type Call, MAX_CALLS, type Program, type ResultArg } from './model.ts';
import type { Random } from './random.ts';
import { clone_call, clone_program, for_each_arg } from './walk.ts';

/** Each async call is a task of its own: this many at most. */
const MAX_ASYNC = 6;

/** Makes calls async, each two times out of three, but never the last: nothing would run beside it. */
export function assign_async(random: Random, program: Program): Program | undefined {
  const copy = clone_program(program);
  const busy = new Set<ResultArg>();
  let left = MAX_ASYNC;
  let changed = false;
  for (let i = copy.calls.length - 1; i >= 0 && left > 0; i--) {
    const call = copy.calls[i]!;
    if (call.description.traits.terminal) continue;
    const eligible = i < copy.calls.length - 1 && !makes_any(call, busy);
    if (eligible && !call.properties.async && random.n_out_of(2, 3)) {
      call.properties.async = true;
      changed = true;
      left--;
    }
    // What a call uses must be there when it starts: its maker is waited for.
    for (const source of sources_of(call)) busy.add(source);
  }
  return changed ? copy : undefined;
}

/** Runs some calls twice: an async copy starts just before the call itself. */
export function duplicate(random: Random, program: Program): Program | undefined {
  const copy = clone_program(program);
  let left = Math.min(MAX_ASYNC, MAX_CALLS - copy.calls.length, random.between(1, MAX_ASYNC));
  const known = new Map<ResultArg, ResultArg>();
  for (const call of copy.calls)
    for_each_arg(call, (node) => {
      if (node.kind === 'result') known.set(node, node);
    });
  let changed = false;
  for (let i = copy.calls.length - 1; i >= 0 && left > 0; i--) {
    const call = copy.calls[i]!;
    if (call.description.traits.terminal || !random.one_in(2)) continue;
    const twin = clone_call(call, new Map(known));
    twin.properties.async = true;
    copy.calls.splice(i, 0, twin);
    left--;
    changed = true;
  }
  return changed ? copy : undefined;
}

function makes_any(call: Call, wanted: ReadonlySet<ResultArg>): boolean {
  let found = false;
  for_each_arg(call, (node) => {
    if (node.kind === 'result' && wanted.has(node)) found = true;
  });
  return found;
}

function sources_of(call: Call): ResultArg[] {
  const found: ResultArg[] = [];
  for_each_arg(call, (node) => {
    if (node.kind === 'result' && node.source !== undefined) found.push(node.source);
  });
  return found;
}
