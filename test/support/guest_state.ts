/**
 * The state of a bare guest as tests compare it: whether two tiers did the same, exit by exit.
 */
import { U8, U32 } from '../../engine/heap/memory.ts';
import { CpuState } from '../../engine/machine/cpu.layout.ts';
import { Vcpu } from '../../engine/machine/vcpu.layout.ts';
import { EXIT_EXCEPTION, EXIT_FAULT } from '../../engine/platform/platform.ts';
import type { GuestCode } from './guest_code.ts';

const PAGE_WORDS = 1024;
/** Words of the register record up to the first field that is not guest state. */
const STATE_WORDS = CpuState.ea.offset >> 2;

function hash(from: number, words: number, seed: number): number {
  let value = seed;
  for (let i = 0; i < words; i++) value = Math.imul(value ^ (U32[(from >>> 2) + i] as number), 0x0100_0193);
  return value >>> 0;
}

/** What can be seen when a slice ends for `reason`: registers, flags, the bytes of some pages, instructions counted. */
export function describe_state(g: GuestCode, reason: number, pages: readonly number[]): string {
  const registers = Array.from({ length: 16 }, (_, i) => g.get(`r${i}`).toString(16)).join(' ');
  const xmm = hash(g.cpu + CpuState.xmm.offset, 64, 1);
  const x87 = hash(g.cpu + CpuState.st.offset, (CpuState.fip.offset - CpuState.st.offset) >> 2, 1);
  const data = pages.map((page) => hash(g.at(page), PAGE_WORDS, 1)).join(' ');
  return [
    `reason ${reason} rip ${g.rip.toString(16)} retired ${CpuState.retired.get(g.cpu)} fuel ${Vcpu.fuel.get(g.vcpu)}`,
    `registers ${registers}`,
    `flags ${CpuState.flags_result.get_big(g.cpu).toString(16)} ${CpuState.flags_aux.get(g.cpu).toString(16)}`,
    `state ${hash(g.cpu, STATE_WORDS, 1)} xmm ${xmm} x87 ${x87} mxcsr ${CpuState.mxcsr.get(g.cpu)} data ${data}`,
    reason === EXIT_FAULT ? `fault ${Vcpu.fault_address.get(g.vcpu)} ${Vcpu.fault_access.get(g.vcpu)}` : '',
    reason === EXIT_EXCEPTION ? `vector ${Vcpu.exception.get(g.vcpu)}` : '',
  ].join('\n');
}

/** The bytes of a bare guest outside of its machine: register record and pages. */
export interface GuestImage {
  readonly cpu: Uint8Array;
  readonly pages: readonly Uint8Array[];
}

/** Copies a guest out of its machine, which is bound. */
export function save_guest(g: GuestCode, pages: readonly number[]): GuestImage {
  return {
    cpu: U8.slice(g.cpu, g.cpu + CpuState.SIZE),
    pages: pages.map((page) => U8.slice(g.at(page), g.at(page) + 4096)),
  };
}

/** Copies a guest into a machine, which is bound, as the kernel writes pages: code that changed is forgotten. */
export function load_guest(g: GuestCode, image: GuestImage, pages: readonly number[]): void {
  U8.set(image.cpu, g.cpu);
  for (const [i, page] of pages.entries()) {
    const bytes = image.pages[i] as Uint8Array;
    const at = g.at(page);
    if (bytes.every((byte, n) => byte === U8[at + n])) continue;
    U8.set(bytes, at);
    g.code_changed(page);
  }
}
