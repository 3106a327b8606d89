// Random numbers addressed by what they are for.
//
// A training batch must be the same function of (seed, step) in a resumed run
// and under any number of processes, so no generator's state may travel from
// one draw to the next: Draws(seed, step, index) begins where it is asked to.

#ifndef ROPEWALK_LAB_DATA_DRAWS_H_
#define ROPEWALK_LAB_DATA_DRAWS_H_

#include <cstdint>
#include <initializer_list>
#include <utility>

namespace ropewalk::lab::data {

// The finalizer of splitmix64 (Steele, Lea & Flood 2014): a bijection in
// which every input bit moves every output bit.
constexpr uint64_t MixBits(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// One number out of several; their order matters.
constexpr uint64_t Combine(std::initializer_list<uint64_t> numbers) {
  uint64_t state = 0x9e3779b97f4a7c15;
  for (const uint64_t number : numbers) {
    state = MixBits(state + 0x9e3779b97f4a7c15) ^ MixBits(number + state);
  }
  return MixBits(state);
}

// What a stream of draws is for, so that two uses of one seed do not agree.
enum class Purpose : uint64_t {
  kWindow = 1,
  kSplit = 2,
  kTokenizerSample = 3,
  kPairs = 4,
  kEvenPairs = 5,
  kZipf = 6,
  kMask = 7,
  kCode = 8,
  kRecall = 9,
};

// splitmix64 from a place of its own for each (purpose, seed, a, b).
class Draws {
 public:
  Draws(Purpose purpose, uint64_t seed, int64_t a = 0, int64_t b = 0)
      : state_(Combine({static_cast<uint64_t>(purpose), seed,
                        static_cast<uint64_t>(a), static_cast<uint64_t>(b)})) {}

  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    return MixBits(state_);
  }

  // Uniform in [0, 1), 53 bits.
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

  // Uniform in [0, bound), bound > 0; the bias is at most bound / 2^64.
  int64_t Below(int64_t bound) {
    return static_cast<int64_t>((static_cast<unsigned __int128>(Next()) *
                                 static_cast<uint64_t>(bound)) >>
                                64);
  }

  // Uniform in [low, high].
  int64_t Between(int64_t low, int64_t high) {
    return low + Below(high - low + 1);
  }

  // Fisher and Yates.
  template <typename Container>
  void Shuffle(Container* items) {
    for (auto i = static_cast<int64_t>(items->size()); i > 1; --i) {
      using std::swap;
      swap((*items)[static_cast<size_t>(i - 1)],
           (*items)[static_cast<size_t>(Below(i))]);
    }
  }

 private:
  uint64_t state_;
};

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_DRAWS_H_
