/**
 * Compares the decoder with iced-x86 on the same bytes: length, validity, mnemonic, operands.
 *
 * iced knows every extension; what x86-64-v2 does not have must be undefined here. Where iced and processors differ,
 * the processor is right, and the difference is written down below.
 */
import {
  Code,
  CpuidFeature,
  Decoder,
  DecoderOptions,
  Instruction as IcedInstruction,
  MemorySizeExt,
  Mnemonic,
  OpKind,
  Register,
} from 'iced-x86';
import { decode, new_instruction } from '../../engine/x86/decoder.ts';
import { disassemble, mnemonic_of, register_name } from '../../engine/x86/disassembler.ts';
import { ATTR_REP, type Instruction, SEGMENT_FS, SEGMENT_GS, SIZE_NONE } from '../../engine/x86/instruction.ts';

/** Features of iced that the machine has. */
const FEATURES = new Set(
  (
    'INTEL8086 INTEL8086_ONLY INTEL186 INTEL286 INTEL386 INTEL486 X64 FPU FPU287 FPU387 CMOV MMX SSE SSE2 SSE3 SSSE3 ' +
    'SSE4_1 SSE4_2 POPCNT CX8 CMPXCHG16B FXSR CPUID TSC RDTSCP MSR SEP SYSCALL PAUSE CLFSH MULTIBYTENOP PREFETCHW ' +
    'CET_IBT RDPMC'
  ).split(' '),
);

/** Instructions of features that the machine lacks and whose encodings were, and stay, reserved no-operations. */
const RESERVED_NOPS = new Set([
  'Rdsspd',
  'Rdsspq',
  'Cldemote',
  'Prefetchit0',
  'Prefetchit1',
  'Prefetchrst2',
  'Prefetchwt1',
  'Prefetchreserved_m8',
  'Bndmk',
  'Bndcl',
  'Bndcu',
  'Bndcn',
  'Bndmov',
  'Bndldx',
  'Bndstx',
]);
/** Names that differ. */
const ALIASES: Readonly<Record<string, string>> = {
  wait: 'fwait',
  fneni: 'feni',
  fndisi: 'fdisi',
  fnsetpm: 'fsetpm',
  call: 'callf',
  jmp: 'jmpf',
  pcmpestri64: 'pcmpestri', // the REX.W form: lengths in rax and rdx
  pcmpestrm64: 'pcmpestrm',
  prefetchw: 'prefetch', // 0F 0D /3
  tzcnt: 'bsf',
  lzcnt: 'bsr',
  wbnoinvd: 'wbinvd',
};

interface IcedCode {
  mnemonic: string;
  /** The machine has it. */
  present: boolean;
}

/** Processors without these features ignore the F3 prefix. */
const WITHOUT_F3 = new Set(['Tzcnt', 'Lzcnt', 'Wbnoinvd']);

const codes = new Map<number, IcedCode>();

function hex(bytes: Uint8Array, at: number, length: number): string {
  return Array.from(bytes.subarray(at, at + length), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** The oracle over one buffer; its bytes may be changed between calls of `load`. */
export class DecodeOracle {
  private readonly out: Instruction = new_instruction();
  private readonly iced = new IcedInstruction();
  private bytes: Uint8Array = new Uint8Array(0);
  private decoder: Decoder | null = null;

  /** Takes the bytes to look at (iced copies them). */
  load(bytes: Uint8Array): void {
    this.decoder?.free();
    this.bytes = bytes;
    this.decoder = new Decoder(64, bytes, DecoderOptions.None);
  }

  free(): void {
    this.decoder?.free();
    this.iced.free();
  }

  /** The length that iced gave to the instruction compared last, whether the machine has it or not; 0: invalid. */
  iced_length = 0;
  /** The row that it decoded to; 0: undefined. */
  row_id = 0;

  /** Compares the instruction at `at`. Answers null, or what differs. */
  compare(at: number): string | null {
    const decoder = this.decoder!;
    const iced = this.iced;
    decoder.position = at;
    decoder.ip = 0n;
    decoder.decodeOut(iced);
    const length = decode(this.bytes, at, this.bytes.length, this.out);
    this.iced_length = iced.code === Code.INVALID ? 0 : iced.length;
    this.row_id = this.out.row.id;
    const problem = this.difference(length);
    if (problem === null) return null;
    const ours = length > 0 ? disassemble(this.out, 0n) : `(${length})`;
    return `${hex(this.bytes, at, 15)}: ${problem}; ours ${ours}; iced ${iced.toString()}`;
  }

  private difference(length: number): string | null {
    const iced = this.iced;
    if (iced.code === Code.INVALID) return length > 0 && !known_valid(this.out) ? 'valid here only' : null;
    const code = iced_code(iced);
    if (!code.present) return length > 0 ? `valid, but ${code.mnemonic} is not in x86-64-v2` : null;
    if (length <= 0) return 'valid in iced only';
    if (length !== iced.length) return `length ${length}, iced ${iced.length}`;
    if (RESERVED_NOPS.has(code.mnemonic)) return this.out.row.semantics === 'nop' ? null : 'not a no-operation';
    const mnemonic = mnemonic_of(this.out);
    if (mnemonic !== code.mnemonic.toLowerCase() && ALIASES[code.mnemonic.toLowerCase()] !== mnemonic) {
      return `mnemonic ${mnemonic}, iced ${code.mnemonic}`;
    }
    return this.prefix_difference() ?? this.operand_differences();
  }

  private prefix_difference(): string | null {
    const { out, iced } = this;
    if (out.lock !== iced.hasLockPrefix) return 'lock';
    if ((out.row.attributes & ATTR_REP) === 0) return null;
    if (out.rep !== iced.hasRepPrefix || out.repne !== iced.hasRepnePrefix) return 'rep';
    return null;
  }

  private operand_differences(): string | null {
    const { out, iced } = this;
    let count = out.operand_count;
    if (count === 0) return null; // iced lists implied operands of string instructions
    if (out.row.operands[count - 1]!.cls === 'xmm' && out.row.operands[count - 1]!.from === 'fixed') count--;
    const skip = out.row.semantics.startsWith('maskmov') ? 1 : 0;
    if (iced.opCount - skip !== count) return `${count} operands, iced ${iced.opCount}`;
    for (let n = 0; n < count; n++) {
      const problem = this.operand_difference(n, n + skip);
      if (problem !== null) return `operand ${n}: ${problem}`;
    }
    return null;
  }

  private operand_difference(n: number, iced_n: number): string | null {
    const { out, iced } = this;
    const operand = out.operands[n]!;
    const kind = iced.opKind(iced_n);
    switch (operand.kind) {
      case 'reg': {
        if (kind !== OpKind.Register) return 'register';
        const name = Register[iced.opRegister(iced_n)]!.toLowerCase();
        const ours = register_name(operand).replace(/[()]/g, '');
        return name === ours || name === ours.replace(/^(r\d+)b$/, '$1l') ? null : `${ours}, iced ${name}`;
      }
      case 'mem':
        return kind === OpKind.Memory ? this.memory_difference(n) : 'memory';
      case 'rel':
        if (kind !== OpKind.NearBranch64) return 'branch';
        return BigInt.asUintN(64, BigInt(out.length + out.imm_lo)) === iced.nearBranchTarget ? null : 'target';
      default:
        return this.immediate_difference(n, iced_n, kind);
    }
  }

  private immediate_difference(n: number, iced_n: number, kind: OpKind): string | null {
    const { out, iced } = this;
    if (kind < OpKind.Immediate8 || kind > OpKind.Immediate32to64) return 'immediate';
    const value = iced.immediate(iced_n);
    if (kind === OpKind.Immediate8_2nd) return BigInt(out.imm2) === value ? null : 'second immediate';
    const bits = 8 * (out.row.operands[n]!.sign_extend ? out.operand_size : out.operands[n]!.size);
    const ours = (BigInt(out.imm_hi >>> 0) << 32n) | BigInt(out.imm_lo >>> 0);
    return BigInt.asUintN(bits, ours) === BigInt.asUintN(bits, value) ? null : `0x${ours.toString(16)}`;
  }

  private memory_difference(n: number): string | null {
    const { out, iced } = this;
    const wide = out.address_size === 8;
    const size = out.operands[n]!.size;
    if (size !== SIZE_NONE && size !== MemorySizeExt.size(iced.memorySize)) {
      return `size ${size}, iced ${MemorySizeExt.size(iced.memorySize)}`;
    }
    const first = wide ? Register.RAX : Register.EAX;
    const ip = wide ? Register.RIP : Register.EIP;
    const base = out.rip_relative ? ip : out.base < 0 ? Register.None : first + out.base;
    if (iced.memoryBase !== base) return `base ${Register[base]}, iced ${Register[iced.memoryBase]}`;
    const index = out.index < 0 ? Register.None : first + out.index;
    if (iced.memoryIndex !== index) return `index ${Register[index]}, iced ${Register[iced.memoryIndex]}`;
    if (index !== Register.None && iced.memoryIndexScale !== 1 << out.scale_shift) return 'scale';
    let displacement = (BigInt(out.displacement_hi) << 32n) | BigInt(out.displacement >>> 0);
    if (out.rip_relative) displacement += BigInt(out.length);
    const bits = wide ? 64 : 32;
    if (BigInt.asUintN(bits, displacement) !== BigInt.asUintN(bits, iced.memoryDisplacement)) return 'displacement';
    const segment = out.segment === SEGMENT_FS ? Register.FS : out.segment === SEGMENT_GS ? Register.GS : Register.None;
    const theirs = iced.segmentPrefix;
    if (segment !== (theirs === Register.FS || theirs === Register.GS ? theirs : Register.None)) return 'segment';
    return null;
  }
}

/** Processors run cmpxchg8b and cmpxchg16b with any of 66, F2, F3; iced wants none. */
function known_valid(out: Instruction): boolean {
  return out.row.mnemonic.startsWith('CMPXCHG');
}

function iced_code(iced: IcedInstruction): IcedCode {
  let code = codes.get(iced.code);
  if (code === undefined) {
    const mnemonic = Mnemonic[iced.mnemonic]!;
    const features = Array.from(iced.cpuidFeatures(), (feature) => CpuidFeature[feature]!);
    const hint = RESERVED_NOPS.has(mnemonic) || WITHOUT_F3.has(mnemonic);
    code = { mnemonic, present: hint || features.every((feature) => FEATURES.has(feature)) };
    codes.set(iced.code, code);
  }
  return code;
}
