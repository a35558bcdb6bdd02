/* Double arithmetic in loops over arrays: products of 512x512 matrices. Work: bands of 32 result rows (16 a product). */
#include "work.h"

#define N 512
#define BAND 32

static double a[N][N], b[N][N], c[N][N];

static void multiply(int first) {
  for (int i = first; i < first + BAND; i++)
    for (int k = 0; k < N; k++)
      for (int j = 0; j < N; j++) c[i][j] += a[i][k] * b[k][j];
}

int main(int argc, char **argv) {
  long bands = amount_of_work(argc, argv, 160);
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      a[i][j] = (i * 7 + j * 3) % 11 - 5;
      b[i][j] = (i * 5 + j * 2) % 13 / 4.0;
    }
  for (long i = 0; i < bands; i++) multiply(i * BAND % N);
  double sum = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) sum += c[i][j] * ((i ^ j) & 15);
  printf("%.17g\n", sum);
  return 0;
}
