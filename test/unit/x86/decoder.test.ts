import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decode, NEED_MORE, new_instruction, TOO_LONG, UNDEFINED } from '../../../engine/x86/decoder.ts';
import { REGISTER_NONE, SEGMENT_FS, SEGMENT_GS, SEGMENT_NONE } from '../../../engine/x86/instruction.ts';

const out = new_instruction();

function bytes_of(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/[0-9a-f]{2}/gi) ?? [], (byte) => Number.parseInt(byte, 16));
}

function run(hex: string): number {
  const bytes = bytes_of(hex);
  return decode(bytes, 0, bytes.length, out);
}

/** Decodes all of `hex` and checks the mnemonic. */
function is(hex: string, mnemonic: string): void {
  assert.is(run(hex), bytes_of(hex).length, hex);
  assert.is(out.row.mnemonic, mnemonic, hex);
}

test('operand size: default, 66, REX.W, forced and default 64', () => {
  const sizes: [string, string, number][] = [
    ['01 d8', 'ADD', 4],
    ['66 01 d8', 'ADD', 2],
    ['48 01 d8', 'ADD', 8],
    ['66 48 01 d8', 'ADD', 8],
    ['00 d8', 'ADD', 1],
    ['50', 'PUSH', 8],
    ['66 50', 'PUSH', 2],
    ['66 c3', 'RET', 8],
    ['66 e8 00 00 00 00', 'CALL', 8],
    ['0f b6 c0', 'MOVZX', 4],
    ['0f 94 c0', 'SETE', 1],
  ];
  for (const [hex, mnemonic, size] of sizes) {
    is(hex, mnemonic);
    assert.is(out.operand_size, size, hex);
  }
});

test('a REX prefix counts only directly before the opcode', () => {
  is('48 66 01 d8', 'ADD');
  assert.is(out.operand_size, 2);
  is('66 4c 89 c0', 'MOV');
  assert.is(out.operand_size, 8);
  assert.is(out.operands[1]!.reg, 8);
});

test('high byte registers exist without REX only', () => {
  is('88 e0', 'MOV');
  assert.is(out.operands[1]!.cls, 'gpr8h');
  assert.is(out.operands[1]!.reg, 0);
  is('40 88 e0', 'MOV');
  assert.is(out.operands[1]!.cls, 'gpr');
  assert.is(out.operands[1]!.reg, 4);
});

test('90 is nop, pause with F3, xchg with REX.B', () => {
  is('90', 'NOP');
  is('66 90', 'NOP');
  is('f3 90', 'PAUSE');
  is('41 90', 'XCHG');
  assert.is(out.operands[0]!.reg, 8);
  is('91', 'XCHG');
});

test('memory operands: SIB rules, RIP-relative, absolute, displacements', () => {
  is('8b 44 24 f8', 'MOV');
  assert.equal([out.base, out.index, out.displacement], [4, REGISTER_NONE, -8]);
  is('8b 04 c5 00 00 00 80', 'MOV');
  assert.equal([out.base, out.index, out.scale_shift, out.displacement], [REGISTER_NONE, 0, 3, -0x80000000]);
  is('8b 04 25 10 00 00 00', 'MOV');
  assert.equal([out.base, out.index, out.rip_relative], [REGISTER_NONE, REGISTER_NONE, false]);
  is('8b 05 10 00 00 00', 'MOV');
  assert.equal([out.base, out.rip_relative, out.displacement], [REGISTER_NONE, true, 16]);
  is('42 8b 04 20', 'MOV');
  assert.equal([out.base, out.index], [0, 12]);
  is('41 8b 45 00', 'MOV');
  assert.is(out.base, 13);
  is('67 8b 00', 'MOV');
  assert.is(out.address_size, 4);
  assert.is(run('8b 00'), 2);
  assert.is(out.address_size, 8);
});

test('segment overrides: the last of FS and GS, the others do not matter', () => {
  is('64 8b 00', 'MOV');
  assert.is(out.segment, SEGMENT_FS);
  is('64 2e 8b 00', 'MOV');
  assert.is(out.segment, SEGMENT_FS);
  is('64 65 8b 00', 'MOV');
  assert.is(out.segment, SEGMENT_GS);
  is('3e 8b 00', 'MOV');
  assert.is(out.segment, SEGMENT_NONE);
});

test('immediates are extended as their operands say', () => {
  is('48 b8 11 22 33 44 55 66 77 88', 'MOV');
  assert.equal([out.imm_lo, out.imm_hi], [0x44332211, 0x88776655 | 0]);
  is('48 c7 c0 ff ff ff ff', 'MOV');
  assert.equal([out.imm_lo, out.imm_hi], [-1, -1]);
  is('83 c0 80', 'ADD');
  assert.equal([out.imm_lo, out.imm_hi], [-128, -1]);
  is('c1 e0 ff', 'SHL');
  assert.equal([out.imm_lo, out.imm_hi], [255, 0]);
  is('d1 e0', 'SHL');
  assert.is(out.imm_lo, 1);
  is('c8 00 ff 02', 'ENTER');
  assert.equal([out.imm_lo, out.imm2], [0xff00, 2]);
  is('eb fe', 'JMP');
  assert.equal([out.operands[0]!.kind, out.imm_lo, out.imm_hi], ['rel', -2, -1]);
  is('48 a1 88 77 66 55 44 33 22 11', 'MOV');
  assert.equal([out.displacement, out.displacement_hi], [0x55667788, 0x11223344]);
  is('67 a0 88 77 66 95', 'MOV');
  assert.equal([out.displacement, out.displacement_hi], [0x95667788 | 0, 0]);
});

test('LOCK needs an instruction that allows it and a memory destination', () => {
  is('f0 01 18', 'ADD');
  assert.is(out.lock, true);
  assert.is(run('f0 01 d8'), UNDEFINED);
  assert.is(run('f0 03 18'), UNDEFINED);
  assert.is(run('f0 39 18'), UNDEFINED);
  assert.is(run('f0 90'), UNDEFINED);
  is('f2 f0 01 18', 'ADD');
});

test('prefixes on branches and hints change nothing', () => {
  for (const [hex, mnemonic] of [
    ['f3 c3', 'RET'],
    ['f2 c3', 'RET'],
    ['f2 e9 00 00 00 00', 'JMP'],
    ['f3 0f bc c1', 'BSF'],
    ['f3 0f bd c1', 'BSR'],
    ['f3 0f 1e fa', 'ENDBR64'],
    ['f3 48 0f 1e c8', 'RESERVEDNOP'],
    ['66 2e 0f 1f 84 00 00 00 00 00', 'NOP'],
    ['f3 0f b8 c1', 'POPCNT'],
  ] as const) {
    is(hex, mnemonic);
  }
});

test('what 64-bit mode or this CPU does not have is undefined', () => {
  for (const hex of [
    '06',
    '27',
    '37',
    '3f',
    '60',
    '62 00',
    '82 c0 00',
    '9a',
    'c4 e2 79 18 c0',
    'c5 f8 77',
    'd4 0a',
    'd6',
    'ea',
    '0f 04',
    '0f b8 c0',
    '0f c7 c8',
    '0f ae 20',
    'f3 0f ae c0',
    '0f 01 d0',
    '0f c7 f0',
    '8e c8',
    '8e f0',
    '8d c0',
    '0f 38 f0 00',
    'ff f8',
    'fe d0',
    '8f c8',
    'c6 f8 00',
  ]) {
    assert.is(run(hex), UNDEFINED, hex);
  }
});

test('an instruction that the bytes cut short needs more', () => {
  const whole = bytes_of('f0 67 64 48 81 84 88 11 22 33 44 55 66 77 08');
  for (let limit = 0; limit < whole.length; limit++) assert.is(decode(whole, 0, limit, out), NEED_MORE);
  assert.is(decode(whole, 0, 15, out), 15);
  assert.is(out.lock, true);
});

test('fifteen bytes are the most', () => {
  assert.is(run('66 66 66 66 66 66 66 66 66 66 66 66 66 66 90 90'), 15);
  assert.is(run('66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90'), TOO_LONG);
  assert.is(run('66 66 66 66 66 66 66 66 66 66 66 66 66 66 66'), TOO_LONG);
  assert.is(run('66 66 66 66 66 66 66 66 66 66 66 66 66 66'), NEED_MORE);
});

test.run();
