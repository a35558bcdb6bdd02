/** Filling the TLB as generated code does. */
import type { Ptr } from '../../engine/base/types.ts';
import { U32 } from '../../engine/heap/memory.ts';
import { TLB_ENTRY_SHIFT, TLB_LOG_LIMIT, TLB_LOG_OFFSET } from '../../engine/machine/vcpu.layout.ts';

/** Notes that entry number `entry` is filled. */
export function log_tlb_fill(vcpu: Ptr<'Vcpu'>, entry: number): void {
  const log = (vcpu + TLB_LOG_OFFSET) >>> 2;
  const used = U32[log] as number;
  if (used > TLB_LOG_LIMIT) return;
  U32[log + 1 + used] = entry << TLB_ENTRY_SHIFT;
  U32[log] = used + 1;
}
