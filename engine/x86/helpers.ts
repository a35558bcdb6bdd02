/**
 * JavaScript helpers of semantics: rare things that are not worth generated code. A helper works on the register
 * record; its arguments and result are i32 or f64.
 */
import type { Ptr } from '../base/types.ts';
import { cpuid } from './cpuid.ts';
import { SSE_HELPERS } from './sse/helpers.ts';
import { X87_HELPERS } from './x87/helpers.ts';

export interface Helper {
  readonly params: readonly ('i32' | 'f64')[];
  readonly result: 'i32' | 'f64' | null;
  /** Null: the platform provides it. */
  readonly run: ((cpu: Ptr<'CpuState'>, ...args: number[]) => number | undefined) | null;
}

export const HELPERS: Readonly<Record<string, Helper>> = {
  /** The time stamp counter. */
  tsc: { params: [], result: 'f64', run: null },
  cpuid: { params: [], result: null, run: cpuid },
  ...SSE_HELPERS,
  ...X87_HELPERS,
};
