/** The few x86-64 instructions that a compiled program is made of (Intel SDM volume 2). */

export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RSI = 6;
export const RDI = 7;
export const R8 = 8;
export const R9 = 9;
export const R10 = 10;

/** Where a jump leads; placed once. */
export interface Label {
  at: number;
  readonly uses: number[];
}

export function label(): Label {
  return { at: -1, uses: [] };
}

/** Code under construction. Addresses are absolute, and only rax meets memory. */
export class Assembler {
  private readonly bytes: number[] = [];

  private put(...bytes: number[]): void {
    for (const byte of bytes) this.bytes.push(byte);
  }

  private put_u32(value: number): void {
    this.put(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, (value >>> 24) & 0xff);
  }

  private put_u64(value: bigint): void {
    this.put_u32(Number(value & 0xffff_ffffn));
    this.put_u32(Number((value >> 32n) & 0xffff_ffffn));
  }

  /** mov register, value: all 64 bits. */
  set(register: number, value: bigint | number): void {
    this.put(register >= 8 ? 0x49 : 0x48, 0xb8 + (register & 7));
    this.put_u64(BigInt.asUintN(64, BigInt(value)));
  }

  /** mov register, rax. */
  copy_from_rax(register: number): void {
    this.put(register >= 8 ? 0x49 : 0x48, 0x89, 0xc0 | (register & 7));
  }

  /** mov rax, [address]. */
  load(address: number): void {
    this.put(0x48, 0xa1);
    this.put_u64(BigInt(address));
  }

  /** mov [address], rax. */
  store(address: number): void {
    this.put(0x48, 0xa3);
    this.put_u64(BigInt(address));
  }

  /** rax = rax / divide + add, unsigned. Changes rcx and rdx. */
  divide_and_add(divide: bigint, add: bigint): void {
    if (divide > 1n) {
      this.put(0x31, 0xd2);
      this.set(RCX, divide);
      this.put(0x48, 0xf7, 0xf1);
    }
    if (add === 0n) return;
    this.set(RCX, add);
    this.put(0x48, 0x01, 0xc8);
  }

  syscall(): void {
    this.put(0x0f, 0x05);
  }

  /** Jumps where rax is the value, which must fit 32 bits as a signed number. */
  jump_if_equal(value: number, target: Label): void {
    this.compare(value);
    this.jump(target, 0x0f, 0x84);
  }

  jump_unless_equal(value: number, target: Label): void {
    this.compare(value);
    this.jump(target, 0x0f, 0x85);
  }

  /** Jumps where rax is -errno: above -4096 as an unsigned number. */
  jump_if_error(target: Label): void {
    this.compare(-4096);
    this.jump(target, 0x0f, 0x87);
  }

  jump_always(target: Label): void {
    this.jump(target, 0xe9);
  }

  place(target: Label): void {
    target.at = this.bytes.length;
  }

  /** The code, with every jump led to its label. */
  finish(labels: readonly Label[]): Uint8Array {
    const code = new Uint8Array(this.bytes);
    const view = new DataView(code.buffer);
    for (const { at, uses } of labels) {
      if (at < 0 && uses.length > 0) throw new Error('a label was not placed');
      for (const use of uses) view.setInt32(use, at - (use + 4), true);
    }
    return code;
  }

  private compare(value: number): void {
    this.put(0x48, 0x3d);
    this.put_u32(value);
  }

  private jump(target: Label, ...opcode: number[]): void {
    this.put(...opcode);
    target.uses.push(this.bytes.length);
    this.put_u32(0);
  }
}
