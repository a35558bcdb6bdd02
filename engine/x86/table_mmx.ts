/**
 * MMX instructions, and those of SSE2 and SSSE3 that have an mm and an xmm form under one opcode. An instruction that
 * touches mm registers or is emms is ATTR_MMX: it marks the x87 stack (`table.ts` adds it by operand class).
 */
import { ATTR_MMX } from './instruction.ts';
import { NO_FLAGS, type RowSource, row } from './row.ts';

/** Each text is `opcode:mnemonic`. */
function parse(list: string): [string, string][] {
  return list.split(' ').map((text) => [text.slice(0, 2), text.slice(3)]);
}

/** `mm, mm/m64` and `xmm, xmm/m128` under one opcode of map 0F or 0F 38. */
function mm_rows(list: string, map = '0F', operands = 'Pq+,Qq'): RowSource[] {
  return parse(list).map(([opcode, name]) => row(name, `NP ${map} ${opcode} /r`, operands));
}

function xmm_rows(list: string, map = '0F', operands = 'Vx+,Wx'): RowSource[] {
  return parse(list).map(([opcode, name]) => row(name, `66 ${map} ${opcode} /r`, operands));
}

/** The low unpacks read 32 bits of memory in their mm form. */
const UNPACK_LOW = '60:PUNPCKLBW 61:PUNPCKLWD 62:PUNPCKLDQ';
const MMX_BOTH =
  '63:PACKSSWB 64:PCMPGTB 65:PCMPGTW 66:PCMPGTD 67:PACKUSWB 68:PUNPCKHBW 69:PUNPCKHWD 6A:PUNPCKHDQ 6B:PACKSSDW ' +
  '74:PCMPEQB 75:PCMPEQW 76:PCMPEQD D1:PSRLW D2:PSRLD D3:PSRLQ D5:PMULLW D8:PSUBUSB D9:PSUBUSW DB:PAND DC:PADDUSB ' +
  'DD:PADDUSW DF:PANDN E1:PSRAW E2:PSRAD E5:PMULHW E8:PSUBSB E9:PSUBSW EB:POR EC:PADDSB ED:PADDSW EF:PXOR F1:PSLLW ' +
  'F2:PSLLD F3:PSLLQ F5:PMADDWD F8:PSUBB F9:PSUBW FA:PSUBD FC:PADDB FD:PADDW FE:PADDD';
/** SSE brought the mm form, SSE2 the xmm form. */
const SSE_BOTH = 'DA:PMINUB DE:PMAXUB E0:PAVGB E3:PAVGW E4:PMULHUW EA:PMINSW EE:PMAXSW F6:PSADBW';
/** SSE2 brought both. */
const SSE2_BOTH = 'D4:PADDQ F4:PMULUDQ FB:PSUBQ';
const SSSE3_BOTH =
  '00:PSHUFB 01:PHADDW 02:PHADDD 03:PHADDSW 04:PMADDUBSW 05:PHSUBW 06:PHSUBD 07:PHSUBSW 08:PSIGNB 09:PSIGNW ' +
  '0A:PSIGND 0B:PMULHRSW';
const SSSE3_UNARY = '1C:PABSB 1D:PABSW 1E:PABSD';

/** Shifts by an immediate: opcode, digit, mnemonic. */
const SHIFTS = [
  ['71', 2, 'PSRLW'],
  ['71', 4, 'PSRAW'],
  ['71', 6, 'PSLLW'],
  ['72', 2, 'PSRLD'],
  ['72', 4, 'PSRAD'],
  ['72', 6, 'PSLLD'],
  ['73', 2, 'PSRLQ'],
  ['73', 6, 'PSLLQ'],
] as const;

/** By feature. */
export const MMX_ROWS: Readonly<Record<string, readonly RowSource[]>> = {
  mmx: [
    ...mm_rows(UNPACK_LOW, '0F', 'Pq+,Qd'),
    ...mm_rows(MMX_BOTH),
    ...SHIFTS.map(([opcode, digit, name]) => row(name, `NP 0F ${opcode} /${digit} ib`, 'Nq+,Ib')),
    row('MOVD', 'NP 0F 6E /r', 'Pq=,Ed'),
    row('MOVQ', 'NP REX.W 0F 6E /r', 'Pq=,Eq'),
    row('MOVD', 'NP 0F 7E /r', 'Ed=,Pd'),
    row('MOVQ', 'NP REX.W 0F 7E /r', 'Eq=,Pq'),
    row('MOVQ', 'NP 0F 6F /r', 'Pq=,Qq'),
    row('MOVQ', 'NP 0F 7F /r', 'Qq=,Pq'),
    row('EMMS', 'NP 0F 77', '', NO_FLAGS, ATTR_MMX),
  ],
  sse: [
    ...mm_rows(SSE_BOTH),
    row('PSHUFW', 'NP 0F 70 /r ib', 'Pq=,Qq,Ib'),
    row('PINSRW', 'NP 0F C4 /r ib', 'Pq+,Ry,Ib'),
    row('PINSRW', 'NP 0F C4 /r ib', 'Pq+,Mw,Ib'),
    row('PEXTRW', 'NP 0F C5 /r ib', 'Gy=,Nq,Ib'),
    row('PMOVMSKB', 'NP 0F D7 /r', 'Gy=,Nq'),
    row('MOVNTQ', 'NP 0F E7 /r', 'Mq=,Pq'),
    row('MASKMOVQ', 'NP 0F F7 /r', 'Pq,Nq'), // memory at rdi
    row('CVTPI2PS', 'NP 0F 2A /r', 'Vq+,Qq'),
    row('CVTTPS2PI', 'NP 0F 2C /r', 'Pq=,Wq'),
    row('CVTPS2PI', 'NP 0F 2D /r', 'Pq=,Wq'),
  ],
  sse2: [
    ...xmm_rows(UNPACK_LOW),
    ...xmm_rows(MMX_BOTH),
    ...xmm_rows(SSE_BOTH),
    ...mm_rows(SSE2_BOTH),
    ...xmm_rows(SSE2_BOTH),
    ...SHIFTS.map(([opcode, digit, name]) => row(name, `66 0F ${opcode} /${digit} ib`, 'Ux+,Ib')),
    row('PINSRW', '66 0F C4 /r ib', 'Vx+,Ry,Ib'),
    row('PINSRW', '66 0F C4 /r ib', 'Vx+,Mw,Ib'),
    row('PEXTRW', '66 0F C5 /r ib', 'Gy=,Ux,Ib'),
    row('PMOVMSKB', '66 0F D7 /r', 'Gy=,Ux'),
    row('MOVQ2DQ', 'F3 0F D6 /r', 'Vx=,Nq'),
    row('MOVDQ2Q', 'F2 0F D6 /r', 'Pq=,Uq'),
    row('CVTPI2PD', '66 0F 2A /r', 'Vx=,Qq'),
    row('CVTTPD2PI', '66 0F 2C /r', 'Pq=,Wx'),
    row('CVTPD2PI', '66 0F 2D /r', 'Pq=,Wx'),
  ],
  ssse3: [
    ...mm_rows(SSSE3_BOTH, '0F 38'),
    ...xmm_rows(SSSE3_BOTH, '0F 38'),
    ...mm_rows(SSSE3_UNARY, '0F 38', 'Pq=,Qq'),
    ...xmm_rows(SSSE3_UNARY, '0F 38', 'Vx=,Wx'),
    row('PALIGNR', 'NP 0F 3A 0F /r ib', 'Pq+,Qq,Ib'),
    row('PALIGNR', '66 0F 3A 0F /r ib', 'Vx+,Wx,Ib'),
  ],
};
