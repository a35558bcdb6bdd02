// What a program finds on its stack: arguments, environment, auxiliary vector.
// args: one "" three\ four
// env: A=1 EMPTY= LONG=abcdefghijklmnopqrstuvwxyz
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

extern char **environ;

int main(int argc, char **argv, char **envp) {
  printf("argc %d\n", argc);
  for (int i = 1; i < argc; i++) printf("argv[%d] = '%s'\n", i, argv[i]);
  printf("end %d\n", argv[argc] == NULL);
  for (char **e = environ; *e; e++) printf("env '%s'\n", *e);
  printf("envp %d\n", envp == environ);
  printf("pagesz %lu clktck %lu secure %lu flags %lu\n", getauxval(AT_PAGESZ), getauxval(AT_CLKTCK),
         getauxval(AT_SECURE), getauxval(AT_FLAGS));
  printf("phent %lu phdr %d entry %d random %d\n", getauxval(AT_PHENT), getauxval(AT_PHDR) != 0,
         getauxval(AT_ENTRY) != 0, getauxval(AT_RANDOM) != 0);
  printf("platform %s\n", (char *)getauxval(AT_PLATFORM));
  const char *name = (const char *)getauxval(AT_EXECFN);
  printf("execfn is argv[0] %d\n", strcmp(name, argv[0]) == 0);
  printf("uid %d gid %d\n", getauxval(AT_UID) == getauxval(AT_EUID), getauxval(AT_GID) == getauxval(AT_EGID));
  // The vector starts behind the environment's NULL; strings lie above it in the order of Linux.
  char **after = environ;
  while (*after) after++;
  Elf64_auxv_t *aux = (Elf64_auxv_t *)(after + 1);
  int terminated = 0;
  for (int i = 0; i < 64; i++)
    if (aux[i].a_type == AT_NULL) {
      terminated = 1;
      break;
    }
  printf("terminated %d\n", terminated);
  uintptr_t rsp = (uintptr_t)(argv - 1);
  printf("rsp aligned %d\n", rsp % 16 == 0);
  printf("strings packed %d\n", argv[1] == argv[0] + strlen(argv[0]) + 1 &&
                                    environ[0] == argv[argc - 1] + strlen(argv[argc - 1]) + 1);
  printf("execfn on top %d\n", ((uintptr_t)(name + strlen(name) + 1 + 8)) % 4096 == 0);
  return 0;
}
