/**
 * What kcov collects while a program runs, call by call. The program's tasks append to one stream of this thread, and
 * not to an area of their machine: it costs no pages to reset, and tasks that the program makes are covered as well.
 *
 *     stream   | call 0 | call 1 | 0 again, after it blocked | call 2 ...
 *
 * A piece begins when a call does, or when the task that is in it runs again, and ends with the call or when the task
 * is dropped. What runs outside of calls (interrupts, the platform's own work) is left out.
 */

import { KCOV_TRACING_CMP, KCOV_TRACING_PC, KCOV_WORDS_PER_CMP } from '../../engine/abi/kcov.ts';
import { KCOV } from '../../engine/base/instrumented.ts';
import type { Ptr } from '../../engine/base/types.ts';
import { type KcovCollector, kcov_collect } from '../../engine/kernel/kcov.ts';
import { kcov_trace_remote, kcov_trace_remote_end } from '../../engine/kernel/kcov_trace.ts';
import { Task } from '../../engine/kernel/task.layout.ts';
import { program_call_of } from '../../engine/platform/program/program.ts';
import type { Collect, Comparison } from './executor.ts';

/** Elements of the stream: a million blocks, or comparisons of eight elements each. What is beyond is dropped. */
const STREAM_ELEMENTS = 1 << 20;
const ELEMENTS = 2 * KCOV_WORDS_PER_CMP;
const CONSTANT = 1;

/** Where a call's results go. */
interface CoveredCall {
  pcs: Uint32Array;
  comparisons: readonly Comparison[];
}

export class Coverage implements KcovCollector {
  private stream = new Uint32Array(0);
  private collect: Collect = 'none';
  private used = 0;
  private call = -1;
  /** Call, start and length of each piece. */
  private readonly pieces: number[] = [];

  /** A program begins. */
  begin(collect: Collect): void {
    this.collect = collect;
    this.used = 0;
    this.call = -1;
    this.pieces.length = 0;
    if (collect === 'none') return;
    if (this.stream.length === 0) this.stream = new Uint32Array(STREAM_ELEMENTS);
    if (KCOV) kcov_collect(this);
  }

  /** Nothing is collected any more: what follows is not the program's doing. */
  end(): void {
    this.close();
    if (KCOV) kcov_collect(null);
  }

  /** The running task is in this call from now on. */
  open(call: number): void {
    this.close();
    if (!KCOV || this.collect === 'none' || call < 0) return;
    this.call = call;
    kcov_trace_remote(this.collect === 'pc' ? KCOV_TRACING_PC : KCOV_TRACING_CMP, this.stream.subarray(this.used));
  }

  /** It is in none. */
  close(): void {
    if (!KCOV || this.call < 0) return;
    const length = kcov_trace_remote_end();
    this.pieces.push(this.call, this.used, length);
    this.used += length;
    this.call = -1;
  }

  resume(task: Ptr<'Task'>): void {
    this.open(program_call_of(Task.cpu.get(task)));
  }

  pause(): void {
    this.close();
  }

  /** Hands each call what was collected for it: views that are good until the next program. */
  hand_out(calls: readonly CoveredCall[]): void {
    const { pieces, stream } = this;
    const seen = new Set<number>();
    for (let i = 0; i < pieces.length; i += 3) {
      const index = pieces[i] as number;
      const call = calls[index];
      if (call === undefined || seen.has(index)) continue;
      seen.add(index);
      const start = pieces[i + 1] as number;
      const only = pieces.indexOf(index, i + 3) < 0;
      const trace = only ? stream.subarray(start, start + (pieces[i + 2] as number)) : this.joined(index);
      if (this.collect === 'pc') call.pcs = trace;
      else call.comparisons = comparisons_of(trace);
    }
  }

  private joined(index: number): Uint32Array {
    const parts: Uint32Array[] = [];
    let length = 0;
    for (let i = 0; i < this.pieces.length; i += 3) {
      if (this.pieces[i] !== index) continue;
      const [start, size] = [this.pieces[i + 1] as number, this.pieces[i + 2] as number];
      parts.push(this.stream.subarray(start, start + size));
      length += size;
    }
    const all = new Uint32Array(length);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

/** Records as kcov writes them: type, both operands (a constant first), place; each with its high word behind it. */
function comparisons_of(records: Uint32Array): Comparison[] {
  const found: Comparison[] = [];
  for (let i = 0; i + ELEMENTS <= records.length; i += ELEMENTS) {
    const word = (n: number): number => records[i + n] as number;
    const type = word(0);
    found.push({
      size: (1 << (type >>> 1)) as Comparison['size'],
      constant: (type & CONSTANT) !== 0,
      low1: word(4),
      high1: word(5),
      low2: word(2),
      high2: word(3),
      pc: word(6),
    });
  }
  return found;
}
