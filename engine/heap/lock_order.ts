/**
 * The lock order of the whole kernel, outermost first: a lock is taken only while holding locks of
 * lower or equal rank (equal rank only where the class's comment says how instances are ordered).
 *
 *   file_position       position of one open file: held over a whole read, write or seek
 *   epoll_watch         who watches which file
 *     epoll             one instance, held while its files are polled; outer before inner
 *   pseudo_tree         directories of a made-up file system (procfs): looking a name up looks at tasks
 *   tasklist            process tree, pids, process groups, sessions
 *     sighand           one thread group's signal state
 *     task              one task's pointers to the parts it shares with others
 *     fs_context        cwd, root, umask
 *     files             one descriptor table
 *     mount             mount tree
 *       tree            directories of one file system; a stacked one before the one below it
 *         file          flags and owner of one open file
 *         inode         one inode's data and attributes
 *           dcache      dentry hash, names, parents, child lists
 *           icache      inode hash
 *           inotify     instances, watches and queues of inotify
 *     socket            all local sockets
 *     tty               one terminal
 *     pipe, eventfd, timerfd    one anonymous object
 *     ipc               System V segments, semaphores and message queues
 *     kcov              handles of remote coverage
 *       kcov_area       one kcov's state
 *     mm                one address space: VMAs and page tables; two in address order (fork)
 *       mapping         page cache of one inode
 *         gofer         table of open host descriptors
 *     futex             one futex bucket; two in address order
 *     wait_queue        one wait queue
 *       epoll_ready     ready list of one epoll instance
 *       run_queue       one vCPU's run queue
 *     timer             the timer heap
 *     frames            the frame allocator
 *     slab              one record class
 */
import type { LockClass } from './lock.ts';

export const FILE_POSITION_LOCK: LockClass = { name: 'file_position', rank: 5 };
export const EPOLL_WATCH_LOCK: LockClass = { name: 'epoll_watch', rank: 6 };
export const EPOLL_LOCK: LockClass = { name: 'epoll', rank: 7 };
export const PSEUDO_TREE_LOCK: LockClass = { name: 'pseudo_tree', rank: 9 };
export const TASKLIST_LOCK: LockClass = { name: 'tasklist', rank: 10 };
export const SIGHAND_LOCK: LockClass = { name: 'sighand', rank: 20 };
export const TASK_LOCK: LockClass = { name: 'task', rank: 22 };
export const FS_CONTEXT_LOCK: LockClass = { name: 'fs_context', rank: 25 };
export const FILES_LOCK: LockClass = { name: 'files', rank: 30 };
export const MOUNT_LOCK: LockClass = { name: 'mount', rank: 40 };
export const TREE_LOCK: LockClass = { name: 'tree', rank: 45 };
export const FILE_LOCK: LockClass = { name: 'file', rank: 48 };
export const INODE_LOCK: LockClass = { name: 'inode', rank: 50 };
export const DCACHE_LOCK: LockClass = { name: 'dcache', rank: 55 };
export const ICACHE_LOCK: LockClass = { name: 'icache', rank: 56 };
export const INOTIFY_LOCK: LockClass = { name: 'inotify', rank: 57 };
export const SOCKET_LOCK: LockClass = { name: 'socket', rank: 60 };
export const TTY_LOCK: LockClass = { name: 'tty', rank: 61 };
export const ANON_LOCK: LockClass = { name: 'anon', rank: 62 };
export const IPC_LOCK: LockClass = { name: 'ipc', rank: 63 };
export const KCOV_LOCK: LockClass = { name: 'kcov', rank: 65 };
export const KCOV_AREA_LOCK: LockClass = { name: 'kcov_area', rank: 66 };
export const MM_LOCK: LockClass = { name: 'mm', rank: 70 };
export const MAPPING_LOCK: LockClass = { name: 'mapping', rank: 75 };
export const GOFER_LOCK: LockClass = { name: 'gofer', rank: 78 };
export const FUTEX_LOCK: LockClass = { name: 'futex', rank: 80 };
export const WAIT_QUEUE_LOCK: LockClass = { name: 'wait_queue', rank: 85 };
export const EPOLL_READY_LOCK: LockClass = { name: 'epoll_ready', rank: 86 };
export const RUN_QUEUE_LOCK: LockClass = { name: 'run_queue', rank: 90 };
export const TIMER_LOCK: LockClass = { name: 'timer', rank: 92 };
export const FRAMES_LOCK: LockClass = { name: 'frames', rank: 95 };
export const SLAB_LOCK: LockClass = { name: 'slab', rank: 97 };
export const HEAP_LOCK: LockClass = { name: 'heap', rank: 99 };
