/* Doubles, long doubles and conversions, printed to the last digit. */
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    volatile double x = 1.0 / 3, y = 1e300, z = -0.0, inf = INFINITY;
    printf("%.17g %a %.17g %g %g\n", x, x, y * y, z, inf - inf == inf - inf ? 1.0 : 0.0);
    double sum = 0;
    for (int i = 1; i <= 1000; i++) sum += sin(i) * exp(-i / 300.0) / sqrt(i) + pow(i, 0.3) - log(i);
    printf("%.17g\n", sum);
    volatile long double l = 1.0L / 3;
    printf("%.21Lg %La\n", l, l);
    long double lsum = 0;
    for (int i = 1; i <= 200; i++) lsum += sinl(i) + expl(-i / 30.0L) + sqrtl(i) - logl(i) + atanl(i);
    printf("%.18Lg\n", lsum);
    printf("%ld %ld %d %u\n", lrint(2.5), lrint(-3.5), (int)-1.9, (unsigned)3e9);
    printf("%lld %llu\n", (long long)-9.2e18, (unsigned long long)1.8e19);
    printf("%.3f %.0f %.0f %10.4e %g %g\n", 1234.5678, 0.5, 1.5, 12345.678, 1e-5, 1e20);
    printf("%.20Lg\n", strtold("3.14159265358979323846264338327950288", NULL));
    printf("%.17g %.17g %.17g\n", strtod("0x1.8p3", NULL), strtod("1e-320", NULL), strtod("2.2250738585072011e-308", NULL));
    printf("%d %d %d %d\n", fpclassify(0.0) == FP_ZERO, isnan(NAN), isinf(-inf), signbit(z) != 0);
    fesetround(FE_UPWARD);
    volatile double one = 1, ten = 10;
    printf("up %.20f\n", one / ten);
    fesetround(FE_DOWNWARD);
    printf("down %.20f %ld\n", one / ten, lrint(2.7));
    fesetround(FE_TONEAREST);
    feclearexcept(FE_ALL_EXCEPT);
    volatile double q = one / 0.0;
    printf("flags %d %d", fetestexcept(FE_DIVBYZERO) != 0, fetestexcept(FE_INEXACT) != 0);
    q = one / 3;
    printf(" %d", fetestexcept(FE_INEXACT) != 0);
    volatile float f = 16777216.0f;
    printf(" %.1f %d\n", f + 1.0f, (float)0.1 == 0.1);
    printf("%.9g %.9g %.9g\n", sqrtf(2), expf(1), (double)fmaf(1.1f, 2.2f, 3.3f));
    printf("%.17g %.17g %.17g\n", fmod(10.5, 3.2), remainder(10.5, 3.2), cbrt(27.1));
    printf("%.17g %.17g %.17g\n", tgamma(5.5), erf(0.7), hypot(3e200, 4e200));
    long double r = fmodl(1e30L, 7.3L);
    printf("%.18Lg %Lg %Lg\n", r, floorl(-2.5L), roundl(2.5L));
    q = 0;
    for (uint64_t i = 0; i < 100000; i++) q += (double)(i * 0x9e3779b97f4a7c15ull >> 11) / 9007199254740992.0;
    printf("%.17g\n", q);
    return 0;
}
