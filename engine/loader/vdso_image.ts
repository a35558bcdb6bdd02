/**
 * The vDSO as an ELF shared object of one page, laid out as Linux's: everything in one segment that may be read and
 * executed, symbols `__vdso_NAME` and weak `NAME` of version LINUX_2.6, both kinds of hash table, unwind tables, and
 * section headers for debuggers (System V gABI; GNU extensions as in the LSB; DWARF 4 section 6.4).
 */
import { EHDR_SIZE, PHDR_SIZE } from '../abi/elf.ts';
import { vdso_code } from './vdso_code.ts';

const SONAME = 'linux-vdso.so.1';
const VERSION = 'LINUX_2.6';
const PAGE = 4096;
const SHDR_SIZE = 64;
const SYM_SIZE = 24;

/** Where the data page lies, from the image's first byte. */
const VVAR_DISTANCE = -PAGE;

/** A little-endian byte buffer with names for places. */
class Writer {
  private readonly view = new DataView(new ArrayBuffer(PAGE));
  at = 0;

  u8(...values: number[]): this {
    for (const value of values) this.view.setUint8(this.at++, value);
    return this;
  }
  u16(...values: number[]): this {
    for (const value of values) {
      this.view.setUint16(this.at, value, true);
      this.at += 2;
    }
    return this;
  }
  u32(...values: number[]): this {
    for (const value of values) {
      this.view.setUint32(this.at, value, true);
      this.at += 4;
    }
    return this;
  }
  u64(...values: number[]): this {
    for (const value of values) this.u32(value >>> 0, Math.floor(value / 2 ** 32));
    return this;
  }
  text(string: string): this {
    for (let i = 0; i < string.length; i++) this.u8(string.charCodeAt(i));
    return this.u8(0);
  }
  raw(bytes: Uint8Array): this {
    new Uint8Array(this.view.buffer).set(bytes, this.at);
    this.at += bytes.length;
    return this;
  }
  align(to: number): number {
    this.at = Math.ceil(this.at / to) * to;
    return this.at;
  }
  /** What was written, up to `end`. */
  bytes(end: number): Uint8Array {
    return new Uint8Array(this.view.buffer, 0, end);
  }
}

/** Strings of a string table, and their offsets. */
class Strings {
  private text = '\0';
  add(string: string): number {
    const at = this.text.length;
    this.text += `${string}\0`;
    return at;
  }
  bytes(): Uint8Array {
    return Uint8Array.from(this.text, (c) => c.charCodeAt(0));
  }
}

/** The gABI's hash of symbol names, also of version names. */
function elf_hash(name: string): number {
  let h = 0;
  for (let i = 0; i < name.length; i++) {
    h = ((h << 4) >>> 0) + name.charCodeAt(i);
    const high = h & 0xf000_0000;
    h = ((h ^ (high >>> 24)) & ~high) >>> 0;
  }
  return h;
}

/** The hash of .gnu.hash. */
function gnu_hash(name: string): number {
  let h = 5381;
  for (let i = 0; i < name.length; i++) h = (Math.imul(h, 33) + name.charCodeAt(i)) >>> 0;
  return h;
}

interface Symbol {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly weak: boolean;
}

const BUCKETS = 4;
const BLOOM_SHIFT = 6;

/** Section header types and flags, symbol bindings, dynamic tags, segment types. */
const SHT_PROGBITS = 1;
const SHT_STRTAB = 3;
const SHT_HASH = 5;
const SHT_DYNAMIC = 6;
const SHT_DYNSYM = 11;
const SHT_GNU_HASH = 0x6fff_fff6;
const SHT_GNU_VERDEF = 0x6fff_fffd;
const SHT_GNU_VERSYM = 0x6fff_ffff;
const SHF_ALLOC = 2;
const SHF_EXECINSTR = 4;
const STB_GLOBAL = 1;
const STB_WEAK = 2;
const STT_FUNC = 2;
const DT_NULL = 0;
const DT_HASH = 4;
const DT_STRTAB = 5;
const DT_SYMTAB = 6;
const DT_STRSZ = 10;
const DT_SYMENT = 11;
const DT_SONAME = 14;
const DT_GNU_HASH = 0x6fff_fef5;
const DT_VERSYM = 0x6fff_fff0;
const DT_VERDEF = 0x6fff_fffc;
const DT_VERDEFNUM = 0x6fff_fffd;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_GNU_EH_FRAME = 0x6474_e550;

interface Section {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly align: number;
  readonly entry: number;
}

/** Symbols in the order .gnu.hash wants: by bucket. */
function symbols_of(functions: readonly { name: string; offset: number; size: number }[]): Symbol[] {
  const all = functions.flatMap(({ name, offset, size }) => [
    { name: `__vdso_${name}`, offset, size, weak: false },
    { name, offset, size, weak: true },
  ]);
  return all.sort((a, b) => (gnu_hash(a.name) % BUCKETS) - (gnu_hash(b.name) % BUCKETS));
}

/** .hash: buckets and chains of the gABI. Symbol 0 is the null symbol. */
function write_hash(w: Writer, symbols: readonly Symbol[]): void {
  const buckets = new Array<number>(BUCKETS).fill(0);
  const chains = new Array<number>(symbols.length + 1).fill(0);
  symbols.forEach(({ name }, i) => {
    const bucket = elf_hash(name) % BUCKETS;
    chains[i + 1] = buckets[bucket] as number;
    buckets[bucket] = i + 1;
  });
  w.u32(BUCKETS, symbols.length + 1, ...buckets, ...chains);
}

/** .gnu.hash: a Bloom filter of one word, first symbol of each bucket, and each symbol's hash, bit 0 ends a bucket. */
function write_gnu_hash(w: Writer, symbols: readonly Symbol[]): void {
  const hashes = symbols.map(({ name }) => gnu_hash(name));
  const bloom = [0, 0];
  const set = (bit: number): void => {
    const word = bit % 64 >= 32 ? 1 : 0;
    bloom[word] = ((bloom[word] as number) | (1 << (bit % 32))) >>> 0;
  };
  for (const hash of hashes) {
    set(hash);
    set(hash >>> BLOOM_SHIFT);
  }
  const first = (bucket: number): number => hashes.findIndex((hash) => hash % BUCKETS === bucket) + 1;
  w.u32(BUCKETS, 1, 1, BLOOM_SHIFT, ...bloom, ...Array.from({ length: BUCKETS }, (_, i) => first(i)));
  hashes.forEach((hash, i) => {
    const next = hashes[i + 1];
    const last = next === undefined || next % BUCKETS !== hash % BUCKETS;
    w.u32(((hash & ~1) | (last ? 1 : 0)) >>> 0);
  });
}

/** .gnu.version_d: the object itself and the version of its symbols. */
function write_version_definitions(w: Writer, soname: number, version: number): void {
  w.u16(1, 1, 1, 1).u32(elf_hash(SONAME), 20, 28).u32(soname, 0);
  w.u16(1, 0, 2, 1).u32(elf_hash(VERSION), 20, 0).u32(version, 0);
}

/** .eh_frame: in all of the code the return address is on top of the stack. */
function write_frames(w: Writer, code_start: number, code_size: number): void {
  const start = w.at;
  // CIE: version 1, augmentation "zR", alignment factors 1 and -8, return address is register 16, pc-relative
  // 32-bit addresses; def_cfa rsp+8, offset r16 at cfa-8, padded with nops.
  w.u32(20, 0).u8(1, 0x7a, 0x52, 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0);
  const fde = w.at;
  w.u32(16, fde + 4 - start);
  w.u32((code_start - w.at) >>> 0, code_size).u8(0, 0, 0, 0);
  w.u32(0);
}

/** .eh_frame_hdr: a table of one entry. */
function write_frame_header(w: Writer, frames: number, code_start: number): void {
  const start = w.at;
  w.u8(1, 0x1b, 0x03, 0x3b).u32((frames - w.at) >>> 0, 1);
  w.u32((code_start - start) >>> 0, (frames + CIE_SIZE - start) >>> 0);
}

const FRAME_HEADER_SIZE = 20;
/** A CIE, an FDE and the end mark. */
const CIE_SIZE = 24;
const FRAMES_SIZE = CIE_SIZE + 20 + 4;
const SECTION_COUNT = 12;
const TEXT_SECTION = 10;

/** A section's header fields that are not its place. */
interface SectionShape {
  readonly type: number;
  readonly align: number;
  readonly link?: number;
  readonly info?: number;
  readonly entry?: number;
  readonly flags?: number;
}

/** The image under construction: what was written, and its sections so far. */
class Image {
  readonly w = new Writer();
  readonly sections: Section[] = [];

  /** Writes a section's contents at the next aligned place; answers its offset. */
  section(name: string, shape: SectionShape, write: () => void): number {
    const offset = this.w.align(shape.align);
    write();
    const { type, align, link = 0, info = 0, entry = 0, flags = SHF_ALLOC } = shape;
    this.sections.push({ name, type, flags, offset, size: this.w.at - offset, link, info, align, entry });
    return offset;
  }

  /** A section whose contents are written later. */
  space(name: string, shape: SectionShape, size: number): number {
    return this.section(name, shape, () => {
      this.w.at += size;
    });
  }

  /** The table of sections, behind the null section: its offset. */
  section_table(): number {
    const names = new Strings();
    const offsets = [...this.sections.map(({ name }) => name), '.shstrtab'].map((name) => names.add(name));
    this.section('.shstrtab', { type: SHT_STRTAB, align: 1, flags: 0 }, () => this.w.raw(names.bytes()));
    const table = this.w.align(8);
    this.w.at += SHDR_SIZE;
    for (const [i, section] of this.sections.entries()) write_section(this.w, offsets[i] as number, section);
    return table;
  }
}

/** What the dynamic linker reads; the symbols' values are still to come. */
interface DynamicTables {
  readonly dynsym: number;
  /** Offset of each symbol's name. */
  readonly names: readonly number[];
  readonly dynamic: number;
  readonly dynamic_size: number;
}

function write_dynamic_tables(image: Image, symbols: readonly Symbol[]): DynamicTables {
  const { w } = image;
  const strings = new Strings();
  const soname = strings.add(SONAME);
  const version = strings.add(VERSION);
  const names = symbols.map(({ name }) => strings.add(name));
  const hash = image.section('.hash', { type: SHT_HASH, align: 8, link: 3, entry: 4 }, () => write_hash(w, symbols));
  const gnu = image.section('.gnu.hash', { type: SHT_GNU_HASH, align: 8, link: 3 }, () => write_gnu_hash(w, symbols));
  const symbol_shape = { type: SHT_DYNSYM, align: 8, link: 4, info: 1, entry: SYM_SIZE };
  const dynsym = image.space('.dynsym', symbol_shape, (symbols.length + 1) * SYM_SIZE);
  const dynstr = image.section('.dynstr', { type: SHT_STRTAB, align: 1 }, () => w.raw(strings.bytes()));
  const dynstr_size = w.at - dynstr;
  const versym = image.section('.gnu.version', { type: SHT_GNU_VERSYM, align: 2, link: 3, entry: 2 }, () =>
    w.u16(0, ...symbols.map(() => 2)),
  );
  const verdef = image.section('.gnu.version_d', { type: SHT_GNU_VERDEF, align: 8, link: 4, info: 2 }, () =>
    write_version_definitions(w, soname, version),
  );
  const tags = [
    [DT_SONAME, soname],
    [DT_HASH, hash],
    [DT_GNU_HASH, gnu],
    [DT_STRTAB, dynstr],
    [DT_SYMTAB, dynsym],
    [DT_STRSZ, dynstr_size],
    [DT_SYMENT, SYM_SIZE],
    [DT_VERDEF, verdef],
    [DT_VERDEFNUM, 2],
    [DT_VERSYM, versym],
    [DT_NULL, 0],
  ].flat();
  const dynamic_shape = { type: SHT_DYNAMIC, align: 8, link: 4, entry: 16 };
  const dynamic = image.section('.dynamic', dynamic_shape, () => w.u64(...tags));
  return { dynsym, names, dynamic, dynamic_size: tags.length * 8 };
}

/** The image, for the start of a page, at any address as long as the data page lies VVAR_DISTANCE from it. */
export function vdso_image(): Uint8Array {
  const image = new Image();
  const { w } = image;
  w.at = EHDR_SIZE + 3 * PHDR_SIZE;
  // Sizes do not depend on addresses, so the functions are known before the code's place is.
  const symbols = symbols_of(vdso_code(0).functions);
  const { dynsym, names, dynamic, dynamic_size } = write_dynamic_tables(image, symbols);
  const frame_header = image.space('.eh_frame_hdr', { type: SHT_PROGBITS, align: 4 }, FRAME_HEADER_SIZE);
  const frames = w.align(8);
  const text = Math.ceil((frames + FRAMES_SIZE) / 16) * 16;
  const code = vdso_code(VVAR_DISTANCE - text).bytes;
  image.section('.eh_frame', { type: SHT_PROGBITS, align: 8 }, () => write_frames(w, text, code.length));
  image.section('.text', { type: SHT_PROGBITS, align: 16, flags: SHF_ALLOC | SHF_EXECINSTR }, () => w.raw(code));
  const table = image.section_table();
  const end = w.at;
  w.at = dynsym + SYM_SIZE;
  for (const [i, symbol] of symbols.entries()) write_symbol(w, names[i] as number, symbol, text);
  w.at = frame_header;
  write_frame_header(w, frames, text);
  write_headers(w, end, table, dynamic, dynamic_size, frame_header);
  return w.bytes(end);
}

function write_section(w: Writer, name: number, s: Section): void {
  w.u32(name, s.type).u64(s.flags, s.flags === 0 ? 0 : s.offset, s.offset, s.size);
  w.u32(s.link, s.info).u64(s.align, s.entry);
}

function write_symbol(w: Writer, name: number, { offset, size, weak }: Symbol, text: number): void {
  w.u32(name).u8(((weak ? STB_WEAK : STB_GLOBAL) << 4) | STT_FUNC, 0);
  w.u16(TEXT_SECTION).u64(text + offset, size);
}

function write_headers(
  w: Writer,
  end: number,
  sections: number,
  dynamic: number,
  dynamic_size: number,
  frame_header: number,
): void {
  w.at = 0;
  w.u8(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  w.u16(3, 62).u32(1).u64(0, EHDR_SIZE, sections);
  w.u32(0).u16(EHDR_SIZE, PHDR_SIZE, 3, SHDR_SIZE, SECTION_COUNT, SECTION_COUNT - 1);
  const segment = (type: number, flags: number, offset: number, size: number, align: number): void => {
    w.u32(type, flags).u64(offset, offset, offset, size, size, align);
  };
  segment(PT_LOAD, 5, 0, end, PAGE);
  segment(PT_DYNAMIC, 4, dynamic, dynamic_size, 8);
  segment(PT_GNU_EH_FRAME, 4, frame_header, FRAME_HEADER_SIZE, 4);
}
