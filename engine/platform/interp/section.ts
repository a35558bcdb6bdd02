/**
 * The custom sections of the interpreter's module that say which handler a form has, alone and fused with a
 * conditional branch.
 */
export const HANDLER_SECTION = 'tvisor.handlers';
/** Bytes of an entry: u16 row, u8 variant, u8 zero, u16 handler, little-endian; rows ascend. */
export const HANDLER_ENTRY = 6;
export const FUSED_SECTION = 'tvisor.fused';
/** Bytes of an entry: u16 row, u8 variant, u8 condition, u16 handler. */
export const FUSED_ENTRY = 6;
