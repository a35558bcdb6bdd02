import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decode, new_instruction } from '../../../engine/x86/decoder.ts';
import { disassemble } from '../../../engine/x86/disassembler.ts';

const out = new_instruction();

function text(hex: string, rip = 0x401000n): string {
  const bytes = Uint8Array.from(hex.split(' '), (byte) => Number.parseInt(byte, 16));
  assert.is(decode(bytes, 0, bytes.length, out), bytes.length, hex);
  return disassemble(out, rip);
}

test('instructions read like the manual writes them', () => {
  const expected: [string, string][] = [
    ['48 01 d8', 'add rax, rbx'],
    ['88 e0', 'mov al, ah'],
    ['44 88 c6', 'mov sil, r8b'],
    ['64 48 8b 04 25 28 00 00 00', 'mov rax, qword ptr fs:[0x28]'],
    ['8b 44 8b f8', 'mov eax, dword ptr [rbx+rcx*4-0x8]'],
    ['48 8d 05 f9 ff ff ff', 'lea rax, [rip-0x7] (0x401000)'],
    ['67 8b 00', 'mov eax, dword ptr [eax]'],
    ['f0 48 0f b1 0f', 'lock cmpxchg qword ptr [rdi], rcx'],
    ['f3 48 a5', 'rep movsq'],
    ['f2 ae', 'repne scasb'],
    ['74 fe', 'je 0x401000'],
    ['e8 fb ff ff ff', 'call 0x401000'],
    ['83 c0 80', 'add eax, -0x80'],
    ['48 b8 11 22 33 44 55 66 77 88', 'mov rax, 0x8877665544332211'],
    ['c8 10 00 02', 'enter 0x10, 0x2'],
    ['48 98', 'cdqe'],
    ['66 99', 'cwd'],
    ['48 99', 'cqo'],
    ['67 e3 00', 'jecxz 0x401003'],
    ['f2 0f 58 c1', 'addsd xmm0, xmm1'],
    ['66 0f 6f 00', 'movdqa xmm0, xmmword ptr [rax]'],
    ['66 0f 38 10 c1', 'pblendvb xmm0, xmm1, xmm0'],
    ['0f fc ca', 'paddb mm1, mm2'],
    ['d8 c1', 'fadd st(0), st(1)'],
    ['db 28', 'fld tbyte ptr [rax]'],
    ['8e e0', 'mov fs, eax'],
    ['0f 22 d8', 'mov cr3, rax'],
  ];
  for (const [hex, line] of expected) assert.is(text(hex), line, hex);
});

test.run();
