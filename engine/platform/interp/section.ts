/**
 * The custom section of the interpreter's module that says which handler a form has.
 */
export const HANDLER_SECTION = 'tvisor.handlers';
/** Bytes of an entry: u16 row, u8 variant, u8 zero, u16 handler, little-endian; rows ascend. */
export const HANDLER_ENTRY = 6;
