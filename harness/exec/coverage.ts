/**
 * What kcov collects while a program runs, call by call. The program's tasks append to one stream of this thread, and
 * not to an area of their machine: it costs no pages to reset, and tasks that the program makes are covered as well.
 *
 *     stream   | call 0 | call 1 | 0 again, after it blocked | call 2 ...
 *
 * A piece begins when a call does, or when the task that is in it runs again, and ends with the call or when the task
 * is dropped. What runs outside of calls (interrupts, the platform's own work) is left out.
 */

import { KCOV_TRACING_CMP, KCOV_TRACING_PC } from '../../engine/abi/kcov.ts';
import { KCOV } from '../../engine/base/instrumented.ts';
import type { Ptr } from '../../engine/base/types.ts';
import { type KcovCollector, kcov_collect } from '../../engine/kernel/kcov.ts';
import { KCOV_STREAM_START, kcov_state, kcov_stream_begin, kcov_stream_end } from '../../engine/kernel/kcov_trace.ts';
import { Task } from '../../engine/kernel/task.layout.ts';
import { program_call_of } from '../../engine/platform/program/program.ts';
import type { Collect, Comparison } from './executor.ts';

const CONSTANT = 1;
const SIZE_8 = 3;

/** This thread's stream. */
const stream: Uint32Array = KCOV ? new Uint32Array(kcov_state.buffer) : new Uint32Array(0);
const NOTHING = new Uint32Array(0);

/** Records of one call: views are made when somebody asks, since most are looked at by one reader or none. */
export class CallTrace {
  private from = 0;
  private length = 0;
  private view: Uint32Array | null = null;

  /** Adds a piece of the stream. */
  add(from: number, length: number): void {
    if (this.length === 0 && this.view === null) {
      this.from = from;
      this.length = length;
      return;
    }
    const before = this.records();
    const all = new Uint32Array(before.length + length);
    all.set(before);
    all.set(stream.subarray(from, from + length), before.length);
    this.view = all;
  }

  /** The elements, in order: good until the next program. */
  records(): Uint32Array {
    if (this.view === null)
      this.view = this.length === 0 ? NOTHING : stream.subarray(this.from, this.from + this.length);
    return this.view;
  }
}

export class Coverage implements KcovCollector {
  private collect: Collect = 'none';
  /** Where the last piece ended. */
  private used = 0;
  private call = -1;
  /** Call, start and length of each piece. */
  private readonly pieces: number[] = [];

  /** A program begins. */
  begin(collect: Collect): void {
    this.collect = collect;
    this.call = -1;
    this.pieces.length = 0;
    if (!KCOV || collect === 'none') return;
    this.used = KCOV_STREAM_START;
    kcov_collect(this);
  }

  /**
   * Nothing is collected any more: what follows is not the program's doing. The stream stays this collector's, for the
   * records that are in it: processes that end with a kcov of their own would append theirs over them.
   */
  stop(): void {
    this.close();
    this.collect = 'none';
  }

  /** The program is gone from the machine. */
  end(): void {
    if (KCOV) kcov_collect(null);
  }

  /** The running task is in this call from now on. */
  open(call: number): void {
    this.close();
    if (!KCOV || this.collect === 'none' || call < 0) return;
    this.call = call;
    kcov_stream_begin(this.collect === 'pc' ? KCOV_TRACING_PC : KCOV_TRACING_CMP, this.used);
  }

  /** It is in none. */
  close(): void {
    if (!KCOV || this.call < 0) return;
    const end = kcov_stream_end();
    if (end > this.used) this.pieces.push(this.call, this.used + 1, end - this.used);
    this.used = end;
    this.call = -1;
  }

  resume(task: Ptr<'Task'>): void {
    this.open(program_call_of(Task.cpu.get(task)));
  }

  pause(): void {
    this.close();
  }

  place(): number {
    return this.used;
  }

  /** Hands each call what was collected for it. */
  hand_out(calls: readonly { readonly trace: CallTrace }[]): void {
    const { pieces } = this;
    for (let i = 0; i < pieces.length; i += 3)
      calls[pieces[i] as number]?.trace.add(pieces[i + 1] as number, pieces[i + 2] as number);
  }
}

/** From the stream's form: type, place, both operands (a constant first), and their high words where there are any. */
export function comparisons_of(records: Uint32Array): Comparison[] {
  const found: Comparison[] = [];
  for (let i = 0; i < records.length; ) {
    const word = (n: number): number => records[i + n] as number;
    const type = word(0);
    const wide = type >>> 1 === SIZE_8;
    found.push({
      size: (1 << (type >>> 1)) as Comparison['size'],
      constant: (type & CONSTANT) !== 0,
      low1: word(3),
      high1: wide ? word(5) : 0,
      low2: word(2),
      high2: wide ? word(4) : 0,
      pc: word(1),
    });
    i += wide ? 6 : 4;
  }
  return found;
}
