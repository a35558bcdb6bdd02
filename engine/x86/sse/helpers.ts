/**
 * The SSE helpers by the names that the semantics call them by.
 */
import type { Cpu } from '../x87/state.ts';
import {
  approximate,
  arithmetic,
  compare_flags,
  compare_mask,
  convert_format,
  convert_from_integer,
  convert_to_integer,
  dot_product,
  pairwise,
  round_elements,
} from './exact.ts';
import { compare_strings } from './strings.ts';

/** A helper of the generated code: `run(cpu, ...args)`. */
export interface FloatHelper {
  readonly params: readonly 'i32'[];
  readonly result: 'i32';
  readonly run: (cpu: Cpu, ...args: number[]) => number;
}

/** A helper of `count` i32 arguments. */
export function float_helper(count: number, run: (cpu: Cpu, ...args: number[]) => number): FloatHelper {
  return { params: new Array<'i32'>(count).fill('i32'), result: 'i32', run };
}

export const SSE_HELPERS: Readonly<Record<string, FloatHelper>> = {
  sse_arithmetic: float_helper(2, arithmetic as FloatHelper['run']),
  sse_pairwise: float_helper(2, pairwise as FloatHelper['run']),
  sse_dot_product: float_helper(2, dot_product as FloatHelper['run']),
  sse_compare_mask: float_helper(2, compare_mask as FloatHelper['run']),
  sse_compare_flags: float_helper(2, compare_flags as FloatHelper['run']),
  sse_round: float_helper(2, round_elements as FloatHelper['run']),
  sse_convert: float_helper(2, convert_format as FloatHelper['run']),
  sse_from_integer: float_helper(3, convert_from_integer as FloatHelper['run']),
  sse_to_integer: float_helper(4, convert_to_integer as FloatHelper['run']),
  sse_approximate: float_helper(2, approximate as FloatHelper['run']),
  sse_compare_strings: float_helper(2, compare_strings as FloatHelper['run']),
};
