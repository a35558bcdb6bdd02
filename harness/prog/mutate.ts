/**
 * Mutates programs. One step is one of these; steps repeat until a 1-in-5 stop:
 *
 *     splice     puts a program of the corpus into this one
 *     insert     adds a call that goes well with those that are there
 *     argument   changes arguments of one call (mutate_args.ts)
 *     remove     drops a call
 *     squash     turns a struct into bytes and changes those (any.ts)
 *
 * Properties of calls are not mutated: the harness sets them, for races (race.ts) and for fault injection.
 */
import type { Target } from '../desc/target.ts';
import { can_squash, squash } from './any.ts';
import { mutate_blob } from './buffers.ts';
import type { ChoiceTable } from './choice_table.ts';
import { Generator } from './generate.ts';
import { type Arg, type DataArg, is_any, MAX_CALLS, type PointerArg, type Program, type ResultArg } from './model.ts';
import { mutate_call_args, relocate_grown, sizes_of_pointees } from './mutate_args.ts';
import type { Random } from './random.ts';
import { assign_sizes } from './size.ts';
import { state_before } from './state.ts';
import { clone_call, for_each_arg, remove_call } from './walk.ts';

export interface MutateContext {
  readonly target: Target;
  readonly table: ChoiceTable;
  readonly random: Random;
  /** Programs to splice from. They stay as they are. */
  readonly corpus: readonly Program[];
  /** The most calls that the result has; MAX_CALLS without it. */
  readonly max_calls?: number;
}

type Operator = (context: MutateContext, program: Program) => boolean;

/** The operators with how often each is tried. */
const OPERATORS: readonly (readonly [weight: number, operator: Operator])[] = [
  [4, splice],
  [60, insert_call],
  [100, mutate_arguments],
  [10, drop_call],
  [12, squash_memory],
];
const TOTAL = OPERATORS.reduce((sum, [weight]) => sum + weight, 0);
const STOP_ONE_IN = 5;
/** Steps that change nothing in a row before mutation gives up. */
const MAX_IDLE = 100;

/** Changes the program in place, by at least one step wherever that is possible. */
export function mutate_program(context: MutateContext, program: Program): void {
  const { random } = context;
  let idle = 0;
  for (let stop = false; !stop && idle < MAX_IDLE; ) {
    const changed = pick_operator(random)(context, program);
    idle = changed ? 0 : idle + 1;
    stop = changed && random.one_in(STOP_ONE_IN);
  }
}

function pick_operator(random: Random): Operator {
  let drawn = random.below(TOTAL);
  for (const [weight, operator] of OPERATORS) {
    if (drawn < weight) return operator;
    drawn -= weight;
  }
  return mutate_arguments;
}

function limit(context: MutateContext): number {
  return context.max_calls ?? MAX_CALLS;
}

/** Calls behind the limit go, from the end; so does a call that ends the task and is not the last. */
function trim(context: MutateContext, program: Program): void {
  while (program.calls.length > limit(context)) remove_call(program, program.calls.length - 1);
  for (let i = program.calls.length - 2; i >= 0; i--)
    if (program.calls[i]!.description.traits.terminal) remove_call(program, i);
}

/** Puts all calls of a program of the corpus somewhere. */
export function splice(context: MutateContext, program: Program): boolean {
  const { random, corpus } = context;
  if (corpus.length === 0 || program.calls.length === 0 || program.calls.length >= limit(context)) return false;
  const copies = new Map<ResultArg, ResultArg>();
  const inserted = random.pick(corpus).calls.map((call) => clone_call(call, copies));
  program.calls.splice(random.below(program.calls.length), 0, ...inserted);
  trim(context, program);
  return true;
}

/** Adds a call, more often towards the end, and before it those that make what it needs. */
export function insert_call(context: MutateContext, program: Program): boolean {
  const { random, table, target } = context;
  if (program.calls.length >= limit(context)) return false;
  const last = program.calls.at(-1)?.description.traits.terminal ? program.calls.length - 1 : program.calls.length;
  const index = last - random.small(last + 1);
  const beside = program.calls.length === 0 ? undefined : random.pick(program.calls).description;
  const generator = new Generator(random, state_before(target, table, program, index));
  program.calls.splice(index, 0, ...generator.calls(table.choose(random, beside)));
  trim(context, program);
  return true;
}

/** Changes arguments of a call; calls with many things to change come first. */
function mutate_arguments(context: MutateContext, program: Program): boolean {
  const { random, table, target } = context;
  if (program.calls.length === 0) return false;
  const index = weighted_index(random, program.calls.map(complexity));
  if (index < 0) return false;
  const call = program.calls[index]!;
  const generator = new Generator(random, state_before(target, table, program, index));
  generator.state.reserve(call);
  const changed = mutate_call_args(generator, call);
  program.calls.splice(index, 0, ...generator.take_calls());
  trim(context, program);
  return changed;
}

function complexity(call: Program['calls'][number]): number {
  let count = 0;
  for (const arg of call.args) count += weight_of(arg);
  return count;
}

function weight_of(node: Arg): number {
  if (node.kind === 'pointer') return node.pointee === undefined ? 1 : 1 + weight_of(node.pointee);
  if (node.kind === 'group') return node.inner.reduce((sum, child) => sum + weight_of(child), 0);
  return node.kind === 'union' ? 1 + weight_of(node.inner) : 1;
}

/** An index drawn by weight; -1 when all weights are 0. */
export function weighted_index(random: Random, weights: readonly number[]): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total === 0) return -1;
  let drawn = random.below(total);
  return weights.findIndex((weight) => {
    drawn -= weight;
    return drawn < 0;
  });
}

export function drop_call(context: MutateContext, program: Program): boolean {
  if (program.calls.length < 2) return false;
  remove_call(program, context.random.below(program.calls.length));
  return true;
}

/** Squashes a pointee, or changes the bytes of one that is squashed already. */
export function squash_memory(context: MutateContext, program: Program): boolean {
  const { random } = context;
  const found: [index: number, node: PointerArg][] = [];
  for (const [i, call] of program.calls.entries())
    for_each_arg(call, (node) => {
      if (node.kind === 'pointer' && node.pointee !== undefined && (is_any(node.pointee) || can_squash(node)))
        found.push([i, node]);
    });
  if (found.length === 0) return false;
  const [index, node] = random.pick(found);
  const call = program.calls[index]!;
  const before = sizes_of_pointees(call);
  if (!is_any(node.pointee!)) squash(node);
  const blobs = blobs_of(node.pointee!);
  if (blobs.length > 0) {
    const blob = random.pick(blobs);
    blob.bytes = mutate_blob(random, blob.bytes, 0, blob.type.max);
  }
  assign_sizes(call);
  const state = state_before(context.target, context.table, program, index);
  state.reserve(call);
  relocate_grown(state, call, before);
  return true;
}

function blobs_of(pointee: Arg): DataArg[] {
  const found: DataArg[] = [];
  if (pointee.kind !== 'group') return found;
  for (const child of pointee.inner) if (child.kind === 'union' && child.inner.kind === 'data') found.push(child.inner);
  return found;
}
