/**
 * Loads the file systems of this folder: importing it registers their types, inode and file kinds.
 */
import { KCOV } from '../base/instrumented.ts';
import '../vfs/directory.ts';
import '../vfs/regular.ts';
import './anon/fifo.ts';
import './anon/inotify.ts';
import './dev/memory_devices.ts';
import './host/host_fs.ts';
import './overlay/overlay.ts';
import './proc/proc.ts';
import { register_debugfs } from './sys/debugfs.ts';
import './sys/sys.ts';
import './tmpfs/memory_super.ts';
import './tty/devpts.ts';
import './tty/ptmx.ts';
import './tty/tty.ts';

if (KCOV) register_debugfs();
