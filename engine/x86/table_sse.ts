/**
 * SSE to SSE4.2 instructions on xmm registers. Those that also exist on mm registers are in `table_mmx.ts`.
 *
 * Scalar instructions keep the rest of their destination, so it is read as well as written. 16-byte memory operands
 * must be aligned, unless the row says otherwise (`table.ts` adds ATTR_ALIGNED).
 */
import { flags, type RowSource, row, SETS_ALL } from './row.ts';

/** comiss and friends clear O, S and A. */
const COMPARE = SETS_ALL;

/** ps, pd, ss and sd forms; `mark` is the packed destination's access. */
function four(name: string, opcode: string, mark: string, tail = ''): Readonly<Record<string, RowSource[]>> {
  const imm = tail === '' ? '' : ' ib';
  return {
    sse: [
      row(`${name}PS`, `NP 0F ${opcode} /r${imm}`, `Vx${mark},Wx${tail}`),
      row(`${name}SS`, `F3 0F ${opcode} /r${imm}`, `Vd+,Wd${tail}`),
    ],
    sse2: [
      row(`${name}PD`, `66 0F ${opcode} /r${imm}`, `Vx${mark},Wx${tail}`),
      row(`${name}SD`, `F2 0F ${opcode} /r${imm}`, `Vq+,Wq${tail}`),
    ],
  };
}

/** ps and pd forms. */
function two(name: string, opcode: string, operands: string, suffixes = ['PS', 'PD']): [RowSource, RowSource] {
  const imm = operands.endsWith('Ib') ? ' ib' : '';
  return [
    row(name + suffixes[0]!, `NP 0F ${opcode} /r${imm}`, operands),
    row(name + suffixes[1]!, `66 0F ${opcode} /r${imm}`, operands),
  ];
}

const FOURS = [
  four('SQRT', '51', '='),
  four('ADD', '58', '+'),
  four('MUL', '59', '+'),
  four('SUB', '5C', '+'),
  four('MIN', '5D', '+'),
  four('DIV', '5E', '+'),
  four('MAX', '5F', '+'),
  four('CMP', 'C2', '+', ',Ib'),
];
const TWOS = [
  two('MOVU', '10', 'Vx=,Wx'),
  two('MOVU', '11', 'Wx=,Vx'),
  two('MOVLP', '13', 'Mq=,Vq', ['S', 'D']),
  two('UNPCKL', '14', 'Vx+,Wx'),
  two('UNPCKH', '15', 'Vx+,Wx'),
  two('MOVHP', '17', 'Mq=,Vx', ['S', 'D']),
  two('MOVA', '28', 'Vx=,Wx'),
  two('MOVA', '29', 'Wx=,Vx'),
  two('MOVNT', '2B', 'Mx=,Vx'),
  two('MOVMSK', '50', 'Gy=,Ux'),
  two('AND', '54', 'Vx+,Wx'),
  two('ANDN', '55', 'Vx+,Wx'),
  two('OR', '56', 'Vx+,Wx'),
  two('XOR', '57', 'Vx+,Wx'),
  two('SHUF', 'C6', 'Vx+,Wx,Ib'),
];

const SSE: RowSource[] = [
  ...FOURS.flatMap((forms) => forms.sse!),
  ...TWOS.map((forms) => forms[0]),
  row('MOVSS', 'F3 0F 10 /r', 'Vd+,Ud'),
  row('MOVSS', 'F3 0F 10 /r', 'Vx=,Md'),
  row('MOVSS', 'F3 0F 11 /r', 'Ud+,Vd'),
  row('MOVSS', 'F3 0F 11 /r', 'Md=,Vd'),
  row('MOVHLPS', 'NP 0F 12 /r', 'Vx+,Ux'),
  row('MOVLPS', 'NP 0F 12 /r', 'Vq+,Mq'),
  row('MOVLHPS', 'NP 0F 16 /r', 'Vx+,Ux'),
  row('MOVHPS', 'NP 0F 16 /r', 'Vx+,Mq'),
  row('RSQRTPS', 'NP 0F 52 /r', 'Vx=,Wx'),
  row('RSQRTSS', 'F3 0F 52 /r', 'Vd+,Wd'),
  row('RCPPS', 'NP 0F 53 /r', 'Vx=,Wx'),
  row('RCPSS', 'F3 0F 53 /r', 'Vd+,Wd'),
  row('CVTSI2SS', 'F3 0F 2A /r', 'Vd+,Ey'),
  row('CVTTSS2SI', 'F3 0F 2C /r', 'Gy=,Wd'),
  row('CVTSS2SI', 'F3 0F 2D /r', 'Gy=,Wd'),
  row('UCOMISS', 'NP 0F 2E /r', 'Vd,Wd', COMPARE),
  row('COMISS', 'NP 0F 2F /r', 'Vd,Wd', COMPARE),
];

const SSE2_FLOAT: RowSource[] = [
  ...FOURS.flatMap((forms) => forms.sse2!),
  ...TWOS.map((forms) => forms[1]),
  row('MOVSD', 'F2 0F 10 /r', 'Vq+,Uq'),
  row('MOVSD', 'F2 0F 10 /r', 'Vx=,Mq'),
  row('MOVSD', 'F2 0F 11 /r', 'Uq+,Vq'),
  row('MOVSD', 'F2 0F 11 /r', 'Mq=,Vq'),
  row('MOVLPD', '66 0F 12 /r', 'Vq+,Mq'),
  row('MOVHPD', '66 0F 16 /r', 'Vx+,Mq'),
  row('CVTSI2SD', 'F2 0F 2A /r', 'Vq+,Ey'),
  row('CVTTSD2SI', 'F2 0F 2C /r', 'Gy=,Wq'),
  row('CVTSD2SI', 'F2 0F 2D /r', 'Gy=,Wq'),
  row('UCOMISD', '66 0F 2E /r', 'Vq,Wq', COMPARE),
  row('COMISD', '66 0F 2F /r', 'Vq,Wq', COMPARE),
  row('CVTPS2PD', 'NP 0F 5A /r', 'Vx=,Wq'),
  row('CVTPD2PS', '66 0F 5A /r', 'Vx=,Wx'),
  row('CVTSS2SD', 'F3 0F 5A /r', 'Vq+,Wd'),
  row('CVTSD2SS', 'F2 0F 5A /r', 'Vd+,Wq'),
  row('CVTDQ2PS', 'NP 0F 5B /r', 'Vx=,Wx'),
  row('CVTPS2DQ', '66 0F 5B /r', 'Vx=,Wx'),
  row('CVTTPS2DQ', 'F3 0F 5B /r', 'Vx=,Wx'),
  row('CVTTPD2DQ', '66 0F E6 /r', 'Vx=,Wx'),
  row('CVTDQ2PD', 'F3 0F E6 /r', 'Vx=,Wq'),
  row('CVTPD2DQ', 'F2 0F E6 /r', 'Vx=,Wx'),
];

/** Integer instructions that have no mm form under the same opcode. */
const SSE2_INTEGER: RowSource[] = [
  row('PUNPCKLQDQ', '66 0F 6C /r', 'Vx+,Wx'),
  row('PUNPCKHQDQ', '66 0F 6D /r', 'Vx+,Wx'),
  row('MOVD', '66 0F 6E /r', 'Vx=,Ed'),
  row('MOVQ', '66 REX.W 0F 6E /r', 'Vx=,Eq'),
  row('MOVD', '66 0F 7E /r', 'Ed=,Vd'),
  row('MOVQ', '66 REX.W 0F 7E /r', 'Eq=,Vq'),
  row('MOVQ', 'F3 0F 7E /r', 'Vx=,Wq'),
  row('MOVQ', '66 0F D6 /r', 'Ux=,Vq'),
  row('MOVQ', '66 0F D6 /r', 'Mq=,Vq'),
  row('MOVDQA', '66 0F 6F /r', 'Vx=,Wx'),
  row('MOVDQA', '66 0F 7F /r', 'Wx=,Vx'),
  row('MOVDQU', 'F3 0F 6F /r', 'Vx=,Wx'),
  row('MOVDQU', 'F3 0F 7F /r', 'Wx=,Vx'),
  row('PSHUFD', '66 0F 70 /r ib', 'Vx=,Wx,Ib'),
  row('PSHUFHW', 'F3 0F 70 /r ib', 'Vx=,Wx,Ib'),
  row('PSHUFLW', 'F2 0F 70 /r ib', 'Vx=,Wx,Ib'),
  row('PSRLDQ', '66 0F 73 /3 ib', 'Ux+,Ib'),
  row('PSLLDQ', '66 0F 73 /7 ib', 'Ux+,Ib'),
  row('MOVNTDQ', '66 0F E7 /r', 'Mx=,Vx'),
  row('MASKMOVDQU', '66 0F F7 /r', 'Vx,Ux'), // memory at rdi
];

const SSE3: RowSource[] = [
  row('MOVSLDUP', 'F3 0F 12 /r', 'Vx=,Wx'),
  row('MOVDDUP', 'F2 0F 12 /r', 'Vx=,Wq'),
  row('MOVSHDUP', 'F3 0F 16 /r', 'Vx=,Wx'),
  row('HADDPD', '66 0F 7C /r', 'Vx+,Wx'),
  row('HADDPS', 'F2 0F 7C /r', 'Vx+,Wx'),
  row('HSUBPD', '66 0F 7D /r', 'Vx+,Wx'),
  row('HSUBPS', 'F2 0F 7D /r', 'Vx+,Wx'),
  row('ADDSUBPD', '66 0F D0 /r', 'Vx+,Wx'),
  row('ADDSUBPS', 'F2 0F D0 /r', 'Vx+,Wx'),
  row('LDDQU', 'F2 0F F0 /r', 'Vx=,Mx'),
];

/** pmovsx.., pmovzx..: opcode low bits, suffix, source size. */
const WIDENINGS = ['BW q', 'BD d', 'BQ w', 'WD q', 'WQ d', 'DQ q'].map((text) => text.split(' '));

function widening(name: string, high: string): RowSource[] {
  return WIDENINGS.map(([suffix, size], low) => row(name + suffix!, `66 0F 38 ${high}${low} /r`, `Vx=,W${size!}`));
}

/** Plain `Vx+,Wx` instructions of map 0F 38. */
function plain(list: string): RowSource[] {
  return list.split(' ').map((text) => row(text.slice(3), `66 0F 38 ${text.slice(0, 2)} /r`, 'Vx+,Wx'));
}

const SSE41: RowSource[] = [
  row('PBLENDVB', '66 0F 38 10 /r', 'Vx+,Wx,XMM0'),
  row('BLENDVPS', '66 0F 38 14 /r', 'Vx+,Wx,XMM0'),
  row('BLENDVPD', '66 0F 38 15 /r', 'Vx+,Wx,XMM0'),
  row('PTEST', '66 0F 38 17 /r', 'Vx,Wx', SETS_ALL),
  ...widening('PMOVSX', '2'),
  ...widening('PMOVZX', '3'),
  ...plain('28:PMULDQ 29:PCMPEQQ 2B:PACKUSDW 38:PMINSB 39:PMINSD 3A:PMINUW 3B:PMINUD'),
  ...plain('3C:PMAXSB 3D:PMAXSD 3E:PMAXUW 3F:PMAXUD 40:PMULLD'),
  row('MOVNTDQA', '66 0F 38 2A /r', 'Vx=,Mx'),
  row('PHMINPOSUW', '66 0F 38 41 /r', 'Vx=,Wx'),
  row('ROUNDPS', '66 0F 3A 08 /r ib', 'Vx=,Wx,Ib'),
  row('ROUNDPD', '66 0F 3A 09 /r ib', 'Vx=,Wx,Ib'),
  row('ROUNDSS', '66 0F 3A 0A /r ib', 'Vd+,Wd,Ib'),
  row('ROUNDSD', '66 0F 3A 0B /r ib', 'Vq+,Wq,Ib'),
  row('BLENDPS', '66 0F 3A 0C /r ib', 'Vx+,Wx,Ib'),
  row('BLENDPD', '66 0F 3A 0D /r ib', 'Vx+,Wx,Ib'),
  row('PBLENDW', '66 0F 3A 0E /r ib', 'Vx+,Wx,Ib'),
  row('PEXTRB', '66 0F 3A 14 /r ib', 'Ry=,Vx,Ib'),
  row('PEXTRB', '66 0F 3A 14 /r ib', 'Mb=,Vx,Ib'),
  row('PEXTRW', '66 0F 3A 15 /r ib', 'Ry=,Vx,Ib'),
  row('PEXTRW', '66 0F 3A 15 /r ib', 'Mw=,Vx,Ib'),
  row('PEXTRD', '66 0F 3A 16 /r ib', 'Ed=,Vx,Ib'),
  row('PEXTRQ', '66 REX.W 0F 3A 16 /r ib', 'Eq=,Vx,Ib'),
  row('EXTRACTPS', '66 0F 3A 17 /r ib', 'Ry=,Vx,Ib'),
  row('EXTRACTPS', '66 0F 3A 17 /r ib', 'Md=,Vx,Ib'),
  row('PINSRB', '66 0F 3A 20 /r ib', 'Vx+,Ry,Ib'),
  row('PINSRB', '66 0F 3A 20 /r ib', 'Vx+,Mb,Ib'),
  row('INSERTPS', '66 0F 3A 21 /r ib', 'Vx+,Ux,Ib'),
  row('INSERTPS', '66 0F 3A 21 /r ib', 'Vx+,Md,Ib'),
  row('PINSRD', '66 0F 3A 22 /r ib', 'Vx+,Ed,Ib'),
  row('PINSRQ', '66 REX.W 0F 3A 22 /r ib', 'Vx+,Eq,Ib'),
  row('DPPS', '66 0F 3A 40 /r ib', 'Vx+,Wx,Ib'),
  row('DPPD', '66 0F 3A 41 /r ib', 'Vx+,Wx,Ib'),
  row('MPSADBW', '66 0F 3A 42 /r ib', 'Vx+,Wx,Ib'),
];

/** Explicit lengths come from eax and edx, the mask goes to xmm0, the index to ecx. Unaligned memory is allowed. */
const SSE42: RowSource[] = [
  row('PCMPGTQ', '66 0F 38 37 /r', 'Vx+,Wx'),
  row('PCMPESTRM', '66 0F 3A 60 /r ib', 'Vx,Wx,Ib', flags('', 'OSZAPC')),
  row('PCMPESTRI', '66 0F 3A 61 /r ib', 'Vx,Wx,Ib', flags('', 'OSZAPC')),
  row('PCMPISTRM', '66 0F 3A 62 /r ib', 'Vx,Wx,Ib', flags('', 'OSZAPC')),
  row('PCMPISTRI', '66 0F 3A 63 /r ib', 'Vx,Wx,Ib', flags('', 'OSZAPC')),
];

/** By feature. */
export const SSE_ROWS: Readonly<Record<string, readonly RowSource[]>> = {
  sse: SSE,
  sse2: [...SSE2_FLOAT, ...SSE2_INTEGER],
  sse3: SSE3,
  'sse4.1': SSE41,
  'sse4.2': SSE42,
};

/** Mnemonics whose 16-byte memory operand may be unaligned. */
export const UNALIGNED: readonly string[] = [
  'MOVUPS',
  'MOVUPD',
  'MOVDQU',
  'LDDQU',
  'PCMPESTRM',
  'PCMPESTRI',
  'PCMPISTRM',
  'PCMPISTRI',
];
