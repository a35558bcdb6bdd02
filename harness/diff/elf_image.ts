/** A static ELF executable of two segments: code, and data that begins with what the file holds (elf(5)). */

/** Far from where the kernel maps things by itself, and from the data area of programs. */
export const TEXT_BASE = 0x6000_0000_0000;
export const IMAGE_DATA_BASE = 0x6001_0000_0000;

const PAGE = 4096;
const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474_e551;
const READ = 4;
const WRITE = 2;
const EXECUTE = 1;

/** The file. Execution begins with the first byte of `code`; `data` lies at IMAGE_DATA_BASE. */
export function elf_image(code: Uint8Array, data: Uint8Array): Uint8Array {
  const data_offset = PAGE + Math.ceil(code.length / PAGE) * PAGE;
  const file = new Uint8Array(data_offset + data.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(TEXT_BASE), true);
  view.setBigUint64(32, BigInt(HEADER_SIZE), true);
  view.setUint16(52, HEADER_SIZE, true);
  view.setUint16(54, PROGRAM_HEADER_SIZE, true);
  view.setUint16(56, 3, true);
  view.setUint16(58, 64, true);
  program_header(view, 0, PT_LOAD, READ | EXECUTE, PAGE, TEXT_BASE, code.length);
  program_header(view, 1, PT_LOAD, READ | WRITE, data_offset, IMAGE_DATA_BASE, data.length);
  program_header(view, 2, PT_GNU_STACK, READ | WRITE, 0, 0, 0);
  file.set(code, PAGE);
  file.set(data, data_offset);
  return file;
}

function program_header(
  view: DataView,
  index: number,
  type: number,
  rights: number,
  offset: number,
  address: number,
  size: number,
): void {
  const at = HEADER_SIZE + index * PROGRAM_HEADER_SIZE;
  view.setUint32(at, type, true);
  view.setUint32(at + 4, rights, true);
  view.setBigUint64(at + 8, BigInt(offset), true);
  view.setBigUint64(at + 16, BigInt(address), true);
  view.setBigUint64(at + 24, BigInt(address), true);
  view.setBigUint64(at + 32, BigInt(size), true);
  view.setBigUint64(at + 40, BigInt(size), true);
  view.setBigUint64(at + 48, BigInt(type === PT_LOAD ? PAGE : 16), true);
}
