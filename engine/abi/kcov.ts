/** kcov's interface (include/uapi/linux/kcov.h). */
export const KCOV_INIT_TRACE = 0x8008_6301;
export const KCOV_ENABLE = 0x6364;
export const KCOV_DISABLE = 0x6365;
export const KCOV_REMOTE_ENABLE = 0x4018_6366;

/** Argument of KCOV_ENABLE, and trace_mode of struct kcov_remote_arg. */
export const KCOV_TRACE_PC = 0;
export const KCOV_TRACE_CMP = 1;

/** struct kcov_remote_arg: offsets. */
export const KCOV_REMOTE_TRACE_MODE = 0;
export const KCOV_REMOTE_AREA_SIZE = 4;
export const KCOV_REMOTE_NUM_HANDLES = 8;
export const KCOV_REMOTE_COMMON_HANDLE = 16;
export const KCOV_REMOTE_HANDLES = 24;
export const KCOV_REMOTE_MAX_HANDLES = 0x100;

/** A comparison is four words: type, both operands, program counter. */
export const KCOV_WORDS_PER_CMP = 4;

/** Modes of a descriptor (enum kcov_mode). */
export const KCOV_DISABLED = 0;
/** There is an area, and nobody is traced. */
export const KCOV_INIT = 1;
export const KCOV_TRACING_PC = 2;
export const KCOV_TRACING_CMP = 3;
