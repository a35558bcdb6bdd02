/* Scalar double arithmetic with square roots: five bodies under gravity. Work: thousands of steps. */
#include "work.h"
#include <math.h>

#define BODIES 5

struct body {
  double x[3], v[3], mass;
};

static struct body bodies[BODIES] = {
    {{0, 0, 0}, {0, 0, 0}, 39.47},
    {{4.84, -1.16, -0.10}, {0.60, 2.81, -0.02}, 0.0377},
    {{8.34, 4.12, -0.40}, {-1.01, 1.82, 0.008}, 0.0113},
    {{12.89, -15.11, -0.22}, {1.08, 0.86, -0.010}, 0.0017},
    {{15.37, -25.91, 0.17}, {0.97, 0.59, -0.034}, 0.0020},
};

static void advance(double dt) {
  for (int i = 0; i < BODIES; i++)
    for (int j = i + 1; j < BODIES; j++) {
      struct body *a = &bodies[i], *b = &bodies[j];
      double d[3], square = 0;
      for (int k = 0; k < 3; k++) {
        d[k] = a->x[k] - b->x[k];
        square += d[k] * d[k];
      }
      double force = dt / (square * sqrt(square));
      for (int k = 0; k < 3; k++) {
        a->v[k] -= d[k] * b->mass * force;
        b->v[k] += d[k] * a->mass * force;
      }
    }
  for (int i = 0; i < BODIES; i++)
    for (int k = 0; k < 3; k++) bodies[i].x[k] += dt * bodies[i].v[k];
}

int main(int argc, char **argv) {
  long thousands = amount_of_work(argc, argv, 5000);
  for (long i = 0; i < thousands * 1000; i++) advance(0.001);
  double sum = 0;
  for (int i = 0; i < BODIES; i++)
    for (int k = 0; k < 3; k++) sum += bodies[i].x[k] * (k + 1) + bodies[i].v[k];
  printf("%.17g\n", sum);
  return 0;
}
