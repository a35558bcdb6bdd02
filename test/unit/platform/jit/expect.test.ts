/**
 * What the translator makes of a dozen telling snippets: their IR and their WebAssembly, as text. A change of the
 * translator shows here what it does; `npm run expect` takes the new texts over and prints the difference.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { disassemble_region, REGION_LOCALS, region_listing } from '../../../../engine/platform/jit/listing.ts';
import { module_text } from '../../../../engine/wasm/text.ts';
import { expect_text } from '../../../support/expect.ts';
import { GuestCode, hex } from '../../../support/guest_code.ts';

/** The code ends there: the interpreter's, and what follows cannot be decoded. */
const CPUID = '0fa2';
const UNDECODABLE = 0x06;

/** Code by name; each runs into an instruction of the interpreter's, and is translated from its beginning. */
const SNIPPETS: Readonly<Record<string, string>> = {
  // xor eax, eax; L: add rax, rcx; dec rcx; jnz L
  counted_loop: `31c0 4801c8 48ffc9 75f8 ${CPUID}`,
  // mov rax, [rsi+8]; mov [rdi+rcx*4], eax
  load_and_store: `488b4608 89048f ${CPUID}`,
  // add dword ptr [rsi], 1
  read_modify_write: `830601 ${CPUID}`,
  // cmp eax, ebx; jl +2; mov eax, ebx
  compare_and_branch: `39d8 7c02 89d8 ${CPUID}`,
  // add rax, rcx; adc rdx, rbx
  add_with_carry: `4801c8 4811da ${CPUID}`,
  // shl eax, cl
  shift_by_register: `d3e0 ${CPUID}`,
  // mov al, bl; movzx ecx, ah; mov edx, eax
  parts_of_registers: `88d8 0fb6cc 89c2 ${CPUID}`,
  // test rax, rax; setne cl; cmovs rdx, rbx
  set_and_move: `4885c0 0f95c1 480f48d3 ${CPUID}`,
  // push rbx; pop rcx
  push_and_pop: `53 59 ${CPUID}`,
  // call +2; cpuid; mov eax, 1; ret
  call_and_return: `e802000000 ${CPUID} b801000000 c3`,
  // addsd xmm0, xmm1; paddd xmm2, [rsi]
  vectors: `f20f58c1 660ffe16 ${CPUID}`,
  // lock xadd [rsi], eax
  locked_add: `f00fc106 ${CPUID}`,
  // jmp [rax*8+0x600000]
  jump_by_table: `ff24c500006000 ${CPUID}`,
  // syscall
  system_call: `0f05 ${CPUID}`,
};

const REWRITE = 'npm run expect';

for (const [name, code] of Object.entries(SNIPPETS))
  test(name, () => {
    let text = '';
    const observer = {
      counted: false,
      now: () => 0,
      made(region: Parameters<typeof region_listing>[0], bytes: Uint8Array): void {
        // What runs later may be translated as well.
        if (text !== '') return;
        const listing = region_listing(region, disassemble_region(region), true);
        text = `${listing.join('\n')}\n\n${module_text(bytes, { bodies_only: true, locals: REGION_LOCALS })}`;
      },
    };
    const guest = new GuestCode(2, { heat: 1, eager: true, observer });
    guest.set('rsi', 0x60_0000n);
    guest.set('rdi', 0x60_0000n);
    guest.set('rcx', 2n);
    const bytes = hex(code);
    guest.load([...bytes, ...new Array<number>(64).fill(UNDECODABLE)]);
    guest.run();
    assert.ok(text !== '', 'nothing was translated');
    expect_text(`jit/${name}.txt`, text, REWRITE);
  });

test.run();
