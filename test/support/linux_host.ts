/** Tests that compare with the host's kernel: only where it is Linux on x86-64. */
import { test } from 'uvu';

const CAN_COMPARE = process.platform === 'linux' && process.arch === 'x64';

/** A test that is left out on other hosts. */
export function linux_test(name: string, body: () => void): void {
  (CAN_COMPARE ? test : test.skip)(name, body);
}
