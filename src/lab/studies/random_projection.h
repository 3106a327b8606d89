// How many dimensions n vectors need: the Johnson-Lindenstrauss lemma, shown
// (post 9588).
//
// A random projection to d dimensions keeps the inner products of n unit
// vectors to an error of order d^-1/2 each, and the worst of n^2 pairs to
// sqrt(ln n / d): d has to grow like ln n, which is where log n attention takes
// its factor from. Sums are float64 in an order of their own, so that a row
// of the table does not depend on a BLAS and its threads.

#ifndef ROPEWALK_LAB_STUDIES_RANDOM_PROJECTION_H_
#define ROPEWALK_LAB_STUDIES_RANDOM_PROJECTION_H_

#include <cstdint>
#include <span>
#include <vector>

namespace ropewalk::lab::studies {

// 8 ln n, the dimensions that post 9588 reckons n vectors need: 49.9 for 512,
// about the heads of BERT, and 92.1 for 100000. Two of them are in the
// proportion log_512 n that the scores are scaled by.
//
// Throws std::invalid_argument unless n >= 1.
double IdealWidth(int64_t n);

struct ProjectionOptions {
  int64_t vectors = 512;   // n
  int64_t width = 1024;    // of the vectors, before
  int64_t projected = 64;  // d, dimensions after
  uint64_t seed = 1;
};

// Over all n (n - 1) / 2 pairs u, v of unit vectors, projected by P.
struct ProjectionErrors {
  int64_t vectors = 0;    // n
  int64_t projected = 0;  // d
  double mean_error = 0;  // of |Pu.Pv - u.v|
  double max_error = 0;   // of the same
  // Of |Pu - Pv|^2 / |u - v|^2 - 1, the mean of its sign and all (0 but for
  // the draw: P is unbiased) and the largest without the sign.
  double mean_distortion = 0;
  double max_distortion = 0;
};

// Draws n vectors evenly from the sphere and P [d, width] with entries
// N(0, 1/d), and compares each pair before and after.
//
// Throws std::invalid_argument unless vectors >= 2 (one has no pair), width >=
// 2 (on a line vectors coincide) and projected >= 1.
ProjectionErrors MeasureProjection(const ProjectionOptions& options);

// MeasureProjection for each n and each d, d running fastest. Errors as there.
//
//   vectors    values of n, each >= 2
//   projected  values of d, each >= 1
std::vector<ProjectionErrors> ProjectionTable(
    std::span<const int64_t> vectors, std::span<const int64_t> projected,
    uint64_t seed = 1);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_RANDOM_PROJECTION_H_
