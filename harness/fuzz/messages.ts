/** What workers and the main thread of a campaign say to each other. Programs travel as text. */
import type { Target } from '../desc/target.ts';
import type { Finding } from '../oracle/finding.ts';
import { parse_program } from '../prog/parse.ts';
import { print_program } from '../prog/print.ts';
import type { Entry } from './corpus.ts';
import type { Crash } from './fuzzer.ts';

export interface InputMessage {
  readonly type: 'input';
  readonly text: string;
  readonly call: number;
  readonly seed: number;
  readonly signal: Uint32Array;
  readonly cost: number;
  /** It comes from an earlier campaign. */
  readonly loaded: boolean;
}

export interface CrashMessage {
  readonly type: 'crash';
  readonly finding: Finding;
  readonly text: string;
  readonly original: string;
  readonly seed: number;
  readonly recurs: boolean;
  readonly before: readonly { readonly text: string; readonly seed: number }[];
}

/** The worker's machine has passed its self-test and the campaign begins. */
export interface ReadyMessage {
  readonly type: 'ready';
  readonly blocks: number;
}

export interface TitleMessage {
  readonly type: 'title';
  readonly title: string;
}

export type FromWorker = InputMessage | CrashMessage | ReadyMessage;
export type ToWorker = InputMessage | TitleMessage;

export function input_message({ text, call, seed, signal, cost }: Entry, loaded: boolean): InputMessage {
  return { type: 'input', text, call, seed, signal, cost, loaded };
}

export function entry_of(target: Target, { text, call, seed, signal, cost }: InputMessage): Entry {
  return { program: parse_program(target, text), text, call, seed, signal, cost };
}

export function crash_message({ finding, program, original, seed, recurs, before }: Crash): CrashMessage {
  return {
    type: 'crash',
    finding,
    text: print_program(program),
    original: print_program(original),
    seed,
    recurs,
    before: before.map((suspect) => ({ text: print_program(suspect.program), seed: suspect.seed })),
  };
}

export function crash_of(target: Target, message: CrashMessage): Crash {
  const { finding, text, original, seed, recurs, before } = message;
  return {
    finding,
    program: parse_program(target, text),
    original: parse_program(target, original),
    seed,
    recurs,
    before: before.map((suspect) => ({ program: parse_program(target, suspect.text), seed: suspect.seed })),
  };
}
