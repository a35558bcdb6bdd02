/**
 * HostIo (ROOT_HOSTIO): the bell that tells the host's event loop of changes on streams it serves.
 * HostStream: one stream between the guest and the host, a pipe whose other end is the host.
 */
import { layout } from '../../heap/layout.ts';

const r = layout('HostIo');
export const HostIo = r.done(
  {
    /** Rises with each change that the host may care about; hosts wait on this word. */
    bell: r.atomic(),
  },
  8,
);

/** The host writes, the guest reads. */
export const HOST_INPUT = 1;
/** The guest writes, the host reads. */
export const HOST_OUTPUT = 2;

const s = layout('HostStream');
export const HostStream = s.done(
  {
    pipe: s.ptr('Pipe', 'immutable'),
    direction: s.u32('immutable'),
    /** On the pipe's queue for as long as the host has its end open. */
    entry: s.ptr('WaitEntry', 'guarded by host'),
  },
  16,
);
