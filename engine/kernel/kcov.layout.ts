/**
 * Kcov: one open of /sys/kernel/debug/kcov, or one of the host's own (Linux's struct kcov). Reference counted: its
 * file, the task that it traces.
 *
 * The area is frames that the guest maps through `mapping` and the tracing vCPU appends to. They need not be
 * contiguous: `directory` is a frame of up to 1024 addresses of frames with 1024 addresses of area frames each. The
 * record holds a reference to every one of them, so that the kernel's stores stay in the area whatever the guest
 * does to its mappings.
 */
import { layout } from '../heap/layout.ts';
import { Lock } from '../heap/lock.ts';

const l = layout('Kcov');
export const Kcov = l.done(
  {
    refs: l.atomic(),
    /** KCOV_DISABLED, KCOV_INIT, KCOV_TRACING_*. */
    mode: l.u32('guarded by lock'),
    lock: l.embed(Lock),
    /** Whom it traces, or whose remote coverage it collects; a number to compare, never followed. */
    task: l.ptr('Task', 'guarded by lock'),
    /** Size of the area in words of 8 bytes, 0 before KCOV_INIT_TRACE. */
    words: l.u32('guarded by lock'),
    mapping: l.ptr('Mapping', 'guarded by lock'),
    directory: l.u32('guarded by lock'),
    /** 1: coverage comes from remote sections alone (KCOV_REMOTE_ENABLE), at most `remote_words` from each. */
    remote: l.u32('guarded by lock'),
    remote_words: l.u32('guarded by lock'),
    /** Rises when tracing ends, so that a remote section which began before adds nothing. */
    sequence: l.u32('guarded by lock'),
    /** Its handles. */
    handles: l.ptr('KcovRemote', 'guarded by kcov'),
  },
  56,
);

const r = layout('KcovRemote');
/** A handle under which remote sections find the Kcov (Linux's struct kcov_remote). */
export const KcovRemote = r.done(
  {
    handle: r.u64('immutable'),
    kcov: r.ptr('Kcov', 'immutable'),
    /** Next of all handles, and next of the same Kcov. */
    next: r.ptr('KcovRemote', 'guarded by kcov'),
    next_own: r.ptr('KcovRemote', 'guarded by kcov'),
  },
  24,
);

const t = layout('KcovRoot');
/** The machine's kcov state (ROOT_KCOV). */
export const KcovRoot = t.done(
  {
    /** Guards the handles. */
    lock: t.embed(Lock),
    handles: t.ptr('KcovRemote', 'guarded by kcov'),
    /** Heap page with the slots of the files that may report (--instrumentation-filter); 0 when all may. */
    filter: t.u32('immutable'),
    filter_count: t.u32('immutable'),
  },
  32,
);
