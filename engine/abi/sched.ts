/** Scheduling policies (sched(7)). */
export const SCHED_OTHER = 0;
export const SCHED_FIFO = 1;
export const SCHED_RR = 2;
export const SCHED_BATCH = 3;
export const SCHED_IDLE = 5;
export const SCHED_DEADLINE = 6;
/** With a policy: children start with SCHED_OTHER. */
export const SCHED_RESET_ON_FORK = 0x4000_0000;
/** Flags of struct sched_attr. */
export const SCHED_FLAG_RESET_ON_FORK = 1;
