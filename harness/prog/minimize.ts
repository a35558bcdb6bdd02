/**
 * Makes a program smaller while a predicate holds: it still covers what it was kept for, or still crashes.
 *
 *     1. drop the calls behind the one of interest        (one try)
 *     2. drop the calls that have nothing to do with it   (one try)
 *     3. drop calls one by one, from the last
 *     4. reset the properties of calls
 *     5. make arguments simpler, one minimiser a type     (minimize_args.ts)
 *     6. where that left results unused, 3. again
 *
 * Each try works on a copy; a copy for which the predicate holds becomes the program. The predicate is what costs:
 * steps that remove much come first.
 */
import { ArgMinimizer } from './minimize_args.ts';
import type { Call, Program, ResultArg } from './model.ts';
import { clone_program, for_each_arg, remove_call } from './walk.ts';

/** A program, and the call in it that matters; -1 when the whole program does (a crash). */
export interface Minimized {
  readonly program: Program;
  readonly call_index: number;
}

/** True when the program still does what it is kept for. It must not change the program. */
export type Predicate = (program: Program, call_index: number) => boolean;

export interface MinimizeOptions {
  /** Leave arguments alone: enough to tell calls that matter from others. */
  readonly calls_only?: boolean;
  /** The most times that the predicate is asked; unlimited without it. */
  readonly max_tries?: number;
}

/** The smallest program that was found; the given one stays as it is, and the predicate must hold for it. */
export function minimize(
  program: Program,
  call_index: number,
  predicate: Predicate,
  options: MinimizeOptions = {},
): Minimized {
  const search = new Search(program, call_index, predicate, options.max_tries ?? Number.POSITIVE_INFINITY);
  search.drop_trailing();
  search.drop_unrelated();
  search.drop_each();
  search.reset_properties();
  if (options.calls_only) return search.best;
  const args = new ArgMinimizer(search);
  args.run();
  if (args.redirected) search.drop_each();
  return search.best;
}

/** The best program so far, and tries to do better. */
export class Search {
  best: Minimized;
  private readonly predicate: Predicate;
  private tries_left: number;

  constructor(program: Program, call_index: number, predicate: Predicate, max_tries: number) {
    this.best = { program: clone_program(program), call_index };
    this.predicate = predicate;
    this.tries_left = max_tries;
  }

  /** Keeps what `change` makes of a copy if the predicate holds for it. `change` answers false to give up. */
  attempt(change: (program: Program) => boolean, call_index = this.best.call_index): boolean {
    if (this.tries_left <= 0) return false;
    const program = clone_program(this.best.program);
    if (!change(program)) return false;
    this.tries_left--;
    if (!this.predicate(program, call_index)) return false;
    this.best = { program, call_index };
    return true;
  }

  drop_trailing(): void {
    const { call_index, program } = this.best;
    if (call_index < 0 || call_index === program.calls.length - 1) return;
    this.attempt((copy) => {
      while (copy.calls.length > call_index + 1) remove_call(copy, copy.calls.length - 1);
      return true;
    });
  }

  /** Calls that share no resource and no file with the one of interest, not even through others. */
  drop_unrelated(): void {
    const { call_index, program } = this.best;
    if (call_index < 0) return;
    const related = related_calls(program, call_index);
    if (related.size === program.calls.length) return;
    const before = [...related].filter((i) => i < call_index).length;
    this.attempt((copy) => {
      for (let i = copy.calls.length - 1; i >= 0; i--) if (!related.has(i)) remove_call(copy, i);
      return true;
    }, before);
  }

  drop_each(): void {
    for (let i = this.best.program.calls.length - 1; i >= 0; i--) {
      const { call_index } = this.best;
      if (i === call_index || this.best.program.calls.length === 1) continue;
      this.attempt(
        (copy) => {
          remove_call(copy, i);
          return true;
        },
        i < call_index ? call_index - 1 : call_index,
      );
    }
  }

  /** First those of all calls, then of each; then a fail_nth that is as small as can be. */
  reset_properties(): void {
    const has = ({ properties }: Call): boolean => properties.async || properties.fail_nth > 0;
    const { calls } = this.best.program;
    if (calls.filter(has).length > 1 && this.attempt((copy) => copy.calls.map(reset).some(Boolean))) return;
    for (let i = 0; i < calls.length; i++) {
      if (!has(calls[i]!)) continue;
      this.attempt((copy) => reset_async(copy.calls[i]!));
      this.attempt((copy) => reset_fail_nth(copy.calls[i]!));
    }
  }
}

function reset_async({ properties }: Call): boolean {
  const changed = properties.async;
  properties.async = false;
  return changed;
}

function reset_fail_nth({ properties }: Call): boolean {
  const changed = properties.fail_nth > 0;
  properties.fail_nth = 0;
  return changed;
}

function reset(call: Call): boolean {
  const was_async = reset_async(call);
  return reset_fail_nth(call) || was_async;
}

/** The calls that have to do with the one at `index`: through results, files or pages, also by way of others. */
function related_calls(program: Program, index: number): Set<number> {
  const topics = program.calls.map(topics_of);
  const related = new Set([index]);
  const known = new Set(topics[index]);
  for (let changed = true; changed; ) {
    changed = false;
    for (const [i, own] of topics.entries()) {
      if (related.has(i) || !own.some((topic) => known.has(topic))) continue;
      related.add(i);
      for (const topic of own) known.add(topic);
      changed = true;
    }
  }
  return related;
}

/** What the call uses and makes: result nodes, paths, and the data area's pages. */
function topics_of(call: Call): (ResultArg | string)[] {
  const found: (ResultArg | string)[] = [];
  for_each_arg(call, (node) => {
    if (node.kind === 'result') found.push(node.source ?? node);
    else if (node.kind === 'data' && node.type.content === 'filename') found.push(`file ${node.bytes.join()}`);
    else if (node.kind === 'pointer' && node.type.kind === 'vma' && node.special === undefined) found.push('pages');
  });
  return found;
}
