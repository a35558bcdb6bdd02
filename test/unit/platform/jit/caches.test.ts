/** The interpreter's tests, with code translated that is reached a few times. */
process.env.TVISOR_TEST_JIT = '3';
await import('../interp/caches.test.ts');
