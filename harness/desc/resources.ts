/** Kinds of kernel objects that calls make and use. A kind is listed below the one it inherits from. */
import { resource } from './build.ts';

const AT_FDCWD = -100;

/** Any file descriptor. */
export const fd = resource('fd', 4, undefined, -1);
export const fd_dir = resource('fd_dir', 4, fd, AT_FDCWD, -1);
export const fd_file = resource('fd_file', 4, fd);
export const fd_memfd = resource('fd_memfd', 4, fd_file);
export const fd_device = resource('fd_device', 4, fd);
export const fd_tty = resource('fd_tty', 4, fd);
export const fd_kcov = resource('fd_kcov', 4, fd);
export const fd_pipe = resource('fd_pipe', 4, fd);
export const fd_pipe_read = resource('fd_pipe_read', 4, fd_pipe);
export const fd_pipe_write = resource('fd_pipe_write', 4, fd_pipe);
export const fd_epoll = resource('fd_epoll', 4, fd);
export const fd_event = resource('fd_event', 4, fd);
export const fd_timer = resource('fd_timer', 4, fd);
export const fd_signal = resource('fd_signal', 4, fd);
export const fd_inotify = resource('fd_inotify', 4, fd);
export const fd_pidfd = resource('fd_pidfd', 4, fd);
export const fd_mount = resource('fd_mount', 4, fd);
export const sock = resource('sock', 4, fd);
export const sock_unix = resource('sock_unix', 4, sock);
export const sock_inet = resource('sock_inet', 4, sock);
export const sock_netlink = resource('sock_netlink', 4, sock);

/** A process or thread number; 0 is the caller. */
export const pid = resource('pid', 4, undefined, 0, -1);
export const pgid = resource('pgid', 4, pid);

export const uid = resource('uid', 4, undefined, 0, -1, 1000);
export const gid = resource('gid', 4, undefined, 0, -1, 1000);

/** A watch of inotify_add_watch(2). */
export const watch = resource('watch', 4, undefined, -1);
/** A timer of timer_create(2). */
export const timer = resource('timer', 4, undefined, -1, 0);
export const pkey = resource('pkey', 4, undefined, -1);
export const shm = resource('shm', 4, undefined, -1);
export const shm_address = resource('shm_address', 8, undefined, 0);
export const semaphore = resource('semaphore', 4, undefined, -1);
export const message_queue = resource('message_queue', 4, undefined, -1);
/** The program break, as brk(2) answers. */
export const program_break = resource('program_break', 8, undefined, 0);
/** A context of io_setup(2). */
export const aio_context = resource('aio_context', 8, undefined, 0);
