/**
 * Regions as text: the guest's instructions, block by block, and the IR of each.
 */
import { new_instruction } from '../../x86/decoder.ts';
import { disassemble } from '../../x86/disassembler.ts';
import { ir_text } from '../../x86/ir_text.ts';
import { decode_at, type Region } from './region.ts';

const PAGE = 4096;

/** Names of a region's parameters, by index (HANDLER_PARAMS). */
export const REGION_LOCALS: ReadonlyMap<number, string> = new Map(['op', 'cpu', 'vcpu', 'fuel', 'ahead'].entries());

/** The disassembly of every instruction of a region, in the order of its blocks, while its pages are as they were. */
export function disassemble_region(region: Region): string[] {
  const instruction = new_instruction();
  const lines: string[] = [];
  for (const { insns } of region.blocks)
    for (const { rip } of insns) {
      const length = decode_at((at) => region.pages.get(Math.floor(at / PAGE)) ?? 0, rip, instruction);
      lines.push(length > 0 ? disassemble(instruction, BigInt(rip)) : '?');
    }
  return lines;
}

/** A line for each block and instruction; with `ir` what the instruction means below it. */
export function region_listing(region: Region, disassembly: readonly string[], ir: boolean): string[] {
  const lines: string[] = [];
  const entries = new Set(region.entries);
  const target = (id: number): string => (id < 0 ? 'out' : `block ${id}`);
  let at = 0;
  for (const block of region.blocks) {
    const branch = (block.insns.at(-1)?.target ?? -1) >= 0;
    const ways = `${branch ? `, taken to ${target(block.taken)}` : ''}${block.next >= 0 ? `, next ${target(block.next)}` : ''}`;
    lines.push(`block ${block.id}${entries.has(block.id) ? ', entry' : ''}${ways}`);
    for (const insn of block.insns) {
      const left = insn.template === null ? '  (interpreted)' : '';
      lines.push(`  ${insn.rip.toString(16).padStart(8)}  ${disassembly[at++]}${left}`);
      if (ir && insn.template !== null)
        for (const line of ir_text(insn.template.ir)) lines.push(`              ${line}`);
    }
  }
  return lines;
}
