/**
 * Loads the file systems of this folder: importing it registers their types, inode and file kinds.
 */
import '../vfs/directory.ts';
import '../vfs/regular.ts';
import './host/host_fs.ts';
import './overlay/overlay.ts';
import './tmpfs/memory_super.ts';
