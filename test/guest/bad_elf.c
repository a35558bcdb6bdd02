// Hostile executables: what execve answers, or what kills the process.
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// mov edi, 77; mov eax, 231; syscall
static const unsigned char code[] = {0xbf, 77, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05};

struct image {
  Elf64_Ehdr header;
  Elf64_Phdr segment[4];
  unsigned char text[4096];
};

static struct image good(void) {
  struct image im = {0};
  memcpy(im.header.e_ident, ELFMAG, 4);
  im.header.e_ident[EI_CLASS] = ELFCLASS64;
  im.header.e_ident[EI_DATA] = ELFDATA2LSB;
  im.header.e_ident[EI_VERSION] = 1;
  im.header.e_type = ET_EXEC;
  im.header.e_machine = EM_X86_64;
  im.header.e_version = 1;
  im.header.e_entry = 0x400000 + offsetof(struct image, text);
  im.header.e_phoff = offsetof(struct image, segment);
  im.header.e_ehsize = sizeof(Elf64_Ehdr);
  im.header.e_phentsize = sizeof(Elf64_Phdr);
  im.header.e_phnum = 1;
  im.segment[0] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0, 0x400000, 0x400000, sizeof im, sizeof im, 4096};
  memcpy(im.text, code, sizeof code);
  return im;
}

static void run(const char *what, const struct image *im, size_t size) {
  int fd = open("bad", O_WRONLY | O_CREAT | O_TRUNC, 0755);
  if (write(fd, im, size) != (ssize_t)size) exit(1);
  close(fd);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    char *argv[] = {"bad", NULL};
    execv("./bad", argv);
    _exit(errno);
  }
  int status;
  waitpid(child, &status, 0);
  printf("%-28s %s %d\n", what, WIFSIGNALED(status) ? "signal" : WEXITSTATUS(status) == 77 ? "ran" : "errno",
         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

#define CASE(what, ...)                 \
  do {                                  \
    struct image im = good();           \
    size_t size = sizeof im;            \
    __VA_ARGS__;                        \
    run(what, &im, size);               \
  } while (0)

int main(int argc, char **argv) {
  char dir[] = "/tmp/bad_elf_XXXXXX";
  if (!mkdtemp(dir) || chdir(dir)) return 1;
  CASE("good", (void)0);
  CASE("magic", im.header.e_ident[1] = 'F');
  CASE("machine i386", im.header.e_machine = EM_386);
  CASE("machine aarch64", im.header.e_machine = EM_AARCH64);
  CASE("relocatable", im.header.e_type = ET_REL);
  CASE("core", im.header.e_type = ET_CORE);
  CASE("phentsize", im.header.e_phentsize = 55);
  CASE("no headers", im.header.e_phnum = 0);
  CASE("too many headers", im.header.e_phnum = 2000);
  CASE("headers behind the end", im.header.e_phoff = 1 << 20);
  CASE("headers far behind", im.header.e_phoff = ~0UL - 100);
  CASE("empty", size = 0);
  CASE("four bytes", size = 4);
  CASE("half a header", size = 32);
  CASE("header only", size = 64);
  CASE("cut in the headers", size = 100);
  CASE("no segment", im.segment[0].p_type = PT_NOTE);
  CASE("filesz > memsz", im.segment[0].p_memsz = 16);
  CASE("memsz huge", im.segment[0].p_memsz = 1UL << 62);
  CASE("vaddr in the kernel", im.segment[0].p_vaddr = 0xffffffff80000000UL);
  CASE("vaddr at the top", im.segment[0].p_vaddr = 0x7ffffffff000UL);
  CASE("offset and vaddr disagree", im.segment[0].p_vaddr += 16);
  CASE("file behind the end", im.segment[0].p_filesz = im.segment[0].p_memsz = 1 << 20);
  CASE("offset behind the end", im.segment[0].p_offset = 1 << 20);
  CASE("entry in nowhere", im.header.e_entry = 0x10);
  CASE("entry not executable", im.segment[0].p_flags = PF_R);
  CASE("entry in the kernel", im.header.e_entry = 0xffffffff80000000UL);
  CASE("overlapping segments", im.header.e_phnum = 2, im.segment[1] = im.segment[0]);
  CASE("overlapping, other flags", im.header.e_phnum = 2, im.segment[1] = im.segment[0], im.segment[1].p_flags = PF_R);
  CASE("descending segments", im.header.e_phnum = 2, im.segment[1] = im.segment[0], im.segment[0].p_vaddr = 0x800000);
  CASE("bss", im.header.e_phnum = 2,
       im.segment[1] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 0, 0x600000, 0x600000, 100, 100000, 4096});
  CASE("pure bss", im.header.e_phnum = 2,
       im.segment[1] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 0, 0x600000, 0x600000, 0, 100000, 4096});
  CASE("read-only bss", im.header.e_phnum = 2,
       im.segment[1] = (Elf64_Phdr){PT_LOAD, PF_R, 0, 0x600000, 0x600000, 100, 4096, 4096});
  CASE("static pie", im.header.e_type = ET_DYN, im.segment[0].p_vaddr = 0, im.header.e_entry = offsetof(struct image, text));
  CASE("executable stack", im.header.e_phnum = 2, im.segment[1] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = 7});

  const char *interpreters[] = {"/no/such/ld.so", "/tmp", "/etc/passwd", "./bad", "relative"};
  for (unsigned i = 0; i < sizeof interpreters / sizeof *interpreters; i++)
    CASE(interpreters[i], im.header.e_phnum = 2, strcpy((char *)im.text + 100, interpreters[i]),
         im.segment[1] = (Elf64_Phdr){.p_type = PT_INTERP,
                                      .p_offset = offsetof(struct image, text) + 100,
                                      .p_filesz = strlen(interpreters[i]) + 1});
  CASE("interpreter without NUL", im.header.e_phnum = 2, memset(im.text + 100, 'x', 50),
       im.segment[1] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = offsetof(struct image, text) + 100, .p_filesz = 20});
  CASE("interpreter empty", im.header.e_phnum = 2, im.segment[1] = (Elf64_Phdr){.p_type = PT_INTERP, .p_filesz = 1});
  CASE("interpreter too long", im.header.e_phnum = 2, im.segment[1] = (Elf64_Phdr){.p_type = PT_INTERP, .p_filesz = 5000});
  CASE("interpreter behind the end", im.header.e_phnum = 2,
       im.segment[1] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = 1 << 20, .p_filesz = 20});
  // Interpreters that are files, but no interpreters.
  struct image other = good();
  const struct {
    const char *what;
    size_t size;
    int machine, type, phnum;
  } broken[] = {{"interpreter short", 20, EM_X86_64, ET_EXEC, 1},
                {"interpreter of i386", sizeof other, EM_386, ET_EXEC, 1},
                {"interpreter relocatable", sizeof other, EM_X86_64, ET_REL, 1},
                {"interpreter no headers", sizeof other, EM_X86_64, ET_EXEC, 0},
                {"interpreter cut", 100, EM_X86_64, ET_EXEC, 1}};
  for (unsigned i = 0; i < sizeof broken / sizeof *broken; i++) {
    other = good();
    other.header.e_machine = broken[i].machine;
    other.header.e_type = broken[i].type;
    other.header.e_phnum = broken[i].phnum;
    int fd = open("interp", O_WRONLY | O_CREAT | O_TRUNC, 0755);
    if (write(fd, &other, broken[i].size) < 0) return 1;
    close(fd);
    CASE(broken[i].what, im.header.e_phnum = 2, strcpy((char *)im.text + 100, "./interp"),
         im.segment[1] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = offsetof(struct image, text) + 100, .p_filesz = 9});
  }
  // Cut at every length up to the end of the program headers.
  struct image whole = good();
  for (size_t size = 0; size <= offsetof(struct image, text) + 16; size += size < 72 ? 1 : 7) {
    char what[32];
    sprintf(what, "cut at %zu", size);
    run(what, &whole, size);
  }
  // Bytes of the headers changed at random; the entry point stays, so that nothing but the program's own code runs.
  unsigned long random = argc > 4 ? strtoul(argv[4], NULL, 0) : 1;
  for (int i = 0; i < 300; i++) {
    struct image im = good();
    char what[64];
    int length = sprintf(what, "mutation %d", i);
    im.header.e_phnum = 2;
    im.segment[1] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, 0, 0x600000, 0x600000, 100, 100000, 4096};
    for (int changes = 1 + i % 3; changes > 0; changes--) {
      random = random * 6364136223846793005UL + 1442695040888963407UL;
      size_t at = (random >> 33) % offsetof(struct image, segment[2]);
      if (at >= offsetof(Elf64_Ehdr, e_entry) && at < offsetof(Elf64_Ehdr, e_phoff)) continue;
      // How much memory may be promised depends on the machine's RAM: no gigabytes; no offsets beyond 2^48.
      size_t field = at < sizeof(Elf64_Ehdr) ? 0 : (at - sizeof(Elf64_Ehdr)) % sizeof(Elf64_Phdr);
      if (field >= offsetof(Elf64_Phdr, p_memsz) + 3 && field < offsetof(Elf64_Phdr, p_align)) continue;
      if (field >= offsetof(Elf64_Phdr, p_offset) + 6 && field < offsetof(Elf64_Phdr, p_vaddr)) continue;
      unsigned char byte = random >> 59 < 8 ? 0xff : random >> 50;
      ((unsigned char *)&im)[at] = byte;
      length += sprintf(what + length, " %zu=%x", at, byte);
    }
    run(what, &im, sizeof im);
  }
  return 0;
}
