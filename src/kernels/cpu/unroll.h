// ROPEWALK_UNROLL before a loop over register tiles.
//
// Accumulators are arrays that must become registers, which takes loops that
// are unrolled before arrays are looked at. Left to itself at -O2, g++ 12 keeps
// them in memory: 63 instead of 140 GFLOP/s.

#ifndef ROPEWALK_KERNELS_CPU_UNROLL_H_
#define ROPEWALK_KERNELS_CPU_UNROLL_H_

#if defined(__clang__)
#define ROPEWALK_UNROLL _Pragma("clang loop unroll(full)")
#else
#define ROPEWALK_UNROLL _Pragma("GCC unroll 16")
#endif

#endif  // ROPEWALK_KERNELS_CPU_UNROLL_H_
