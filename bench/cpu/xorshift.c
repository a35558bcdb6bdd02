/* Scalar integer code in registers: a 64-bit xorshift generator. Work: millions of numbers. */
#include "work.h"
#include <stdint.h>

int main(int argc, char **argv) {
  long millions = amount_of_work(argc, argv, 500);
  uint64_t state = 88172645463325252u, sum = 0;
  for (long i = 0; i < millions * 1000000; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    sum += state >> 32;
  }
  printf("%016llx\n", (unsigned long long)(sum ^ state));
  return 0;
}
