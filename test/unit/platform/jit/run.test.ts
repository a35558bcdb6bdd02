/** The interpreter's tests, with everything translated at first sight. */
process.env.TVISOR_TEST_JIT = '1';
await import('../interp/run.test.ts');
