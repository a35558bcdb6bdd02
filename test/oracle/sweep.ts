/**
 * Walks the code of ELF files instruction by instruction, as iced sees it, and compares each.
 */
import { DecodeOracle } from './decode_oracle.ts';

const SHF_EXECINSTR = 4;
const SHT_NOBITS = 8;

/** What a sweep found; sweeps of several sections add up. */
export interface SweepResult {
  instructions: number;
  /** Data between functions, and instructions that x86-64-v2 does not have. */
  skipped: number;
  problems: string[];
}

/** The executable sections of a 64-bit little-endian ELF file. */
export function executable_sections(file: Uint8Array): Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const offset = Number(view.getBigUint64(0x28, true));
  const size = view.getUint16(0x3a, true);
  const count = view.getUint16(0x3c, true);
  const sections: Uint8Array[] = [];
  for (let n = 0; n < count; n++) {
    const at = offset + n * size;
    const type = view.getUint32(at + 4, true);
    const flags = view.getUint32(at + 8, true);
    if ((flags & SHF_EXECINSTR) === 0 || type === SHT_NOBITS) continue;
    const start = Number(view.getBigUint64(at + 0x18, true));
    const length = Number(view.getBigUint64(at + 0x20, true));
    sections.push(file.subarray(start, start + length));
  }
  return sections;
}

/** Compares up to `limit` instructions of `code`. */
export function sweep(code: Uint8Array, result: SweepResult, limit = Number.POSITIVE_INFINITY): void {
  const oracle = new DecodeOracle();
  oracle.load(code);
  let at = 0;
  while (at < code.length && result.instructions + result.skipped < limit) {
    const problem = oracle.compare(at);
    if (problem !== null) result.problems.push(problem);
    if (oracle.row_id === 0) result.skipped++;
    else result.instructions++;
    at += oracle.iced_length === 0 ? 1 : oracle.iced_length;
  }
  oracle.free();
}
