/**
 * Names of code addresses in an ELF file: functions of .symtab, or of .dynsym where the file is stripped (System V gABI,
 * chapter 4). Everything in the file is an allegation: what makes no sense has no symbols.
 */
import { EHDR_SIZE, PHDR_SIZE, PT_LOAD } from '../abi/elf.ts';

const SHDR_SIZE = 64;
const SYMBOL_SIZE = 24;
const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const STT_NOTYPE = 0;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
const MAX_HEADERS = 4096;
/** Larger tables of symbols or strings are not read. */
const MAX_TABLE = 64 << 20;

/** Bytes of a file: `length` of them from `position`, or null where it has not as many. */
export type ReadAt = (position: number, length: number) => Uint8Array | null;

export interface Symbol {
  readonly name: string;
  /** Address in the file's own address space, and bytes; 0 bytes: up to the next symbol. */
  readonly address: number;
  readonly size: number;
}

interface Part {
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

function view_of(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 4294967296 + view.getUint32(at, true);
}

/** The symbols of one file. */
export class SymbolTable {
  private readonly loads: readonly Part[];
  /** By address. */
  private readonly symbols: readonly Symbol[];

  constructor(loads: readonly Part[], symbols: readonly Symbol[]) {
    this.loads = loads;
    this.symbols = symbols;
  }

  /** The function at a file offset, and how far behind its beginning that is; null where there is none. */
  lookup(offset: number): { readonly name: string; readonly distance: number } | null {
    const load = this.loads.find((part) => offset >= part.offset && offset < part.offset + part.size);
    if (load === undefined) return null;
    const address = load.address + offset - load.offset;
    let low = 0;
    let high = this.symbols.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.symbols[middle] as Symbol).address <= address) low = middle + 1;
      else high = middle;
    }
    const found = this.symbols[low - 1];
    if (found === undefined || (found.size > 0 && address >= found.address + found.size)) return null;
    return { name: found.name, distance: address - found.address };
  }
}

function read_loads(header: DataView, read: ReadAt): Part[] {
  const count = Math.min(header.getUint16(56, true), MAX_HEADERS);
  const bytes = read(u64(header, 32), count * PHDR_SIZE);
  if (bytes === null) return [];
  const view = view_of(bytes);
  const loads: Part[] = [];
  for (let at = 0; at < bytes.length; at += PHDR_SIZE)
    if (view.getUint32(at, true) === PT_LOAD)
      loads.push({ offset: u64(view, at + 8), address: u64(view, at + 16), size: u64(view, at + 32) });
  return loads;
}

function read_name(strings: Uint8Array, at: number): string {
  const end = strings.indexOf(0, at);
  return end < 0 ? '' : new TextDecoder().decode(strings.subarray(at, end));
}

function read_symbols(symbols: Uint8Array, strings: Uint8Array): Symbol[] {
  const view = view_of(symbols);
  const found: Symbol[] = [];
  for (let at = 0; at + SYMBOL_SIZE <= symbols.length; at += SYMBOL_SIZE) {
    const type = (symbols[at + 4] as number) & 15;
    const defined = view.getUint16(at + 6, true) !== 0;
    if (!defined || (type !== STT_FUNC && type !== STT_NOTYPE && type !== STT_GNU_IFUNC)) continue;
    const name = read_name(strings, view.getUint32(at, true));
    if (name !== '') found.push({ name, address: u64(view, at + 8), size: u64(view, at + 16) });
  }
  // Of several names of one function the last is found: one with a size and few underscores.
  const rank = ({ name, size }: Symbol): number => (size > 0 ? 100 : 0) - (/^_*/.exec(name)?.[0].length ?? 0);
  return found.sort((a, b) => a.address - b.address || rank(a) - rank(b));
}

/** The symbols of an ELF file, or null where it is none or has no table of symbols. */
export function read_symbol_table(read: ReadAt): SymbolTable | null {
  const bytes = read(0, EHDR_SIZE);
  if (bytes === null || view_of(bytes).getUint32(0, false) !== 0x7f454c46) return null;
  const header = view_of(bytes);
  const count = Math.min(header.getUint16(60, true), MAX_HEADERS);
  const headers = read(u64(header, 40), count * SHDR_SIZE);
  if (headers === null || header.getUint16(58, true) !== SHDR_SIZE) return null;
  const view = view_of(headers);
  const section = (index: number): Uint8Array | null => {
    if (index >= count) return null;
    const size = u64(view, index * SHDR_SIZE + 32);
    return size > MAX_TABLE ? null : read(u64(view, index * SHDR_SIZE + 24), size);
  };
  for (const wanted of [SHT_SYMTAB, SHT_DYNSYM])
    for (let i = 0; i < count; i++) {
      if (view.getUint32(i * SHDR_SIZE + 4, true) !== wanted) continue;
      const symbols = section(i);
      const strings = section(view.getUint32(i * SHDR_SIZE + 40, true));
      if (symbols !== null && strings !== null)
        return new SymbolTable(read_loads(header, read), read_symbols(symbols, strings));
    }
  return null;
}
