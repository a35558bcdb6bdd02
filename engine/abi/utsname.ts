/** What uname(2) and /proc/sys/kernel tell of the kernel: the Linux release whose behaviour is the model. */
export const KERNEL_NAME = 'Linux';
export const KERNEL_RELEASE = '6.1.0';
export const KERNEL_VERSION = '#1 SMP tvisor';
export const MACHINE_NAME = 'x86_64';
