/**
 * System instructions as user mode sees them: syscall, cpuid, time stamps, fences, state save and restore, and those
 * that only the kernel may execute, which are ATTR_PRIVILEGED (#GP at privilege level 3).
 *
 * Instructions of features that CPUID does not advertise have no row and are #UD: VMX, SVM, SMX, SMM, XSAVE, FSGSBASE, RTM,
 * MPX, CET's shadow stack writes, MONITOR. With UMIP, which the machine does not advertise but behaves like, sgdt, sidt,
 * sldt, str and smsw are privileged.
 */
import { ATTR_ALIGNED, ATTR_BRANCH, ATTR_PRIVILEGED, ATTR_REP, ATTR_UNDEFINED } from './instruction.ts';
import { flags, NO_FLAGS, type RowSource, row } from './row.ts';

const ZERO_FLAG = flags('', 'Z');

function privileged(mnemonic: string, encoding: string, operands = ''): RowSource {
  return row(mnemonic, encoding, operands, NO_FLAGS, ATTR_PRIVILEGED, 'privileged');
}

/** Rows of feature 'base'. */
export const SYSTEM_ROWS: readonly RowSource[] = [
  // rcx takes rip, r11 the flags.
  row('SYSCALL', '0F 05', '', flags('OSZAPCD', ''), ATTR_BRANCH),
  // AMD's processors do not have sysenter in 64-bit mode; Linux offers it to 32-bit code only.
  row('SYSENTER', '0F 34', '', NO_FLAGS, ATTR_BRANCH | ATTR_UNDEFINED),
  row('CPUID', '0F A2'),
  row('RDTSC', '0F 31'),
  row('LAR', '0F 02 /r', 'Gv+,Rv', ZERO_FLAG),
  row('LAR', '0F 02 /r', 'Gv+,Mw', ZERO_FLAG),
  row('LSL', '0F 03 /r', 'Gv+,Rv', ZERO_FLAG),
  row('LSL', '0F 03 /r', 'Gv+,Mw', ZERO_FLAG),
  row('VERR', '0F 00 /4', 'Rv', ZERO_FLAG),
  row('VERR', '0F 00 /4', 'Mw', ZERO_FLAG),
  row('VERW', '0F 00 /5', 'Rv', ZERO_FLAG),
  row('VERW', '0F 00 /5', 'Mw', ZERO_FLAG),
  row('LSS', '0F B2 /r', 'Gv=,Mn', NO_FLAGS, 0, 'load_far_pointer'),
  row('LFS', '0F B4 /r', 'Gv=,Mn', NO_FLAGS, 0, 'load_far_pointer'),
  row('LGS', '0F B5 /r', 'Gv=,Mn', NO_FLAGS, 0, 'load_far_pointer'),
  privileged('SLDT', '0F 00 /0', 'Rv='),
  privileged('SLDT', '0F 00 /0', 'Mw='),
  privileged('STR', '0F 00 /1', 'Rv='),
  privileged('STR', '0F 00 /1', 'Mw='),
  privileged('LLDT', '0F 00 /2', 'Rv'),
  privileged('LLDT', '0F 00 /2', 'Mw'),
  privileged('LTR', '0F 00 /3', 'Rv'),
  privileged('LTR', '0F 00 /3', 'Mw'),
  privileged('SGDT', '0F 01 /0', 'Mn='),
  privileged('SIDT', '0F 01 /1', 'Mn='),
  privileged('LGDT', '0F 01 /2', 'Mn'),
  privileged('LIDT', '0F 01 /3', 'Mn'),
  privileged('SMSW', '0F 01 /4', 'Rv='),
  privileged('SMSW', '0F 01 /4', 'Mw='),
  privileged('LMSW', '0F 01 /6', 'Rv'),
  privileged('LMSW', '0F 01 /6', 'Mw'),
  privileged('INVLPG', '0F 01 /7', 'Mn-'),
  privileged('SWAPGS', '0F 01 F8'),
  privileged('CLTS', '0F 06'),
  privileged('SYSRET', '0F 07'),
  privileged('INVD', '0F 08'),
  privileged('WBINVD', '0F 09'),
  privileged('MOV', '0F 20 /r', 'Rq=,Cq'),
  privileged('MOV', '0F 21 /r', 'Rq=,Dq'),
  privileged('MOV', '0F 22 /r', 'Cq=,Rq'),
  privileged('MOV', '0F 23 /r', 'Dq=,Rq'),
  privileged('WRMSR', '0F 30'),
  privileged('RDMSR', '0F 32'),
  privileged('RDPMC', '0F 33'),
  privileged('SYSEXIT', '0F 35'),
  privileged('HLT', 'F4'),
  privileged('CLI', 'FA'),
  privileged('STI', 'FB'),
  row('INSB', '6C', 'b', NO_FLAGS, ATTR_PRIVILEGED | ATTR_REP, 'privileged'),
  row('INS', '6D', '', NO_FLAGS, ATTR_PRIVILEGED | ATTR_REP, 'privileged'),
  row('OUTSB', '6E', 'b', NO_FLAGS, ATTR_PRIVILEGED | ATTR_REP, 'privileged'),
  row('OUTS', '6F', '', NO_FLAGS, ATTR_PRIVILEGED | ATTR_REP, 'privileged'),
  privileged('IN', 'E4 ib', 'AL=,Ib'),
  privileged('IN', 'E5 ib', 'eAX=,Ib'),
  privileged('OUT', 'E6 ib', 'Ib,AL'),
  privileged('OUT', 'E7 ib', 'Ib,eAX'),
  privileged('IN', 'EC', 'AL=,DX'),
  privileged('IN', 'ED', 'eAX=,DX'),
  privileged('OUT', 'EE', 'DX,AL'),
  privileged('OUT', 'EF', 'DX,eAX'),
];

/** Rows of later features. */
export const SYSTEM_FEATURE_ROWS: Readonly<Record<string, readonly RowSource[]>> = {
  rdtscp: [row('RDTSCP', '0F 01 F9')],
  clfsh: [row('CLFLUSH', 'NP 0F AE /7', 'Mb')],
  fxsr: [
    row('FXSAVE', 'NP 0F AE /0', 'Mf=', NO_FLAGS, ATTR_ALIGNED),
    row('FXSAVE64', 'NP REX.W 0F AE /0', 'Mf=', NO_FLAGS, ATTR_ALIGNED, 'fxsave'),
    row('FXRSTOR', 'NP 0F AE /1', 'Mf', NO_FLAGS, ATTR_ALIGNED),
    row('FXRSTOR64', 'NP REX.W 0F AE /1', 'Mf', NO_FLAGS, ATTR_ALIGNED, 'fxrstor'),
  ],
  sse: [row('LDMXCSR', 'NP 0F AE /2', 'Md'), row('STMXCSR', 'NP 0F AE /3', 'Md='), row('SFENCE', 'NP 0F AE F8+i')],
  sse2: [row('LFENCE', 'NP 0F AE E8+i'), row('MFENCE', 'NP 0F AE F0+i')],
};
