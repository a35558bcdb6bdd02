/**
 * Resources of tasks, wired to their owners: descriptor tables and file-system contexts (address spaces: sentry/memory.ts).
 */
import { fs_context_clone, fs_context_get, fs_context_put } from '../vfs/fs_context.ts';
import { files_copy, files_get, files_put } from './files.ts';
import { register_task_resource } from './resources.ts';

register_task_resource('files', { share: files_get, copy: (files) => files_copy(files), release: files_put });
register_task_resource('fs', { share: fs_context_get, copy: fs_context_clone, release: fs_context_put });
