/** Imported first: makes this process's engine the one with kcov's device, though without instrumentation. */
(globalThis as { TVISOR_KCOV?: boolean }).TVISOR_KCOV = true;
