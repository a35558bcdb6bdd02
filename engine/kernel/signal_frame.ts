/** Placeholder while user memory lands. */
export interface SignalAction {
  handler: number;
  restorer: number;
  mask_lo: number;
  mask_hi: number;
  flags: number;
}

/** Builds a frame. */
export function setup_signal_frame(
  _signo: number,
  _info: Int32Array,
  _action: SignalAction,
  _mask_lo: number,
  _mask_hi: number,
): boolean {
  return false;
}
