/** The tests of windows, where regions call the runtime for what the TLB lacks. */
process.env.TVISOR_TEST_RESOLVE = '1';
await import('./windows.test.ts');
