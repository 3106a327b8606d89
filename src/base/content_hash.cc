#include "base/content_hash.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

namespace ropewalk {
namespace {

constexpr uint64_t kFactor = 0xff51afd7ed558ccdu;  // odd, bits well spread
constexpr size_t kPiece = size_t{1} << 20;         // bytes a thread hashes

uint64_t Scramble(uint64_t x) {
  x ^= x >> 33;
  x *= kFactor;
  x ^= x >> 29;
  x *= 0xc4ceb9fe1a85ec53u;
  return x ^ (x >> 32);
}

// Four lanes of words, so that multiplications overlap. A step of a lane is a
// bijection of its state, so one changed word always changes the lane.
uint64_t HashPiece(const std::byte* data, size_t size) {
  uint64_t lanes[4] = {1, 2, 3, 4};
  size_t at = 0;
  const auto word = [&](size_t from, size_t bytes) {
    uint64_t value = 0;
    std::memcpy(&value, data + from, bytes);
    return value;
  };
  const auto step = [](uint64_t& lane, uint64_t value) {
    lane = std::rotl((lane ^ value) * kFactor, 31);
  };
  for (; at + 32 <= size; at += 32) {
    for (size_t l = 0; l < 4; ++l) step(lanes[l], word(at + 8 * l, 8));
  }
  for (size_t l = 0; at < size; ++l, at += 8) {
    step(lanes[l], word(at, std::min<size_t>(8, size - at)));
  }
  uint64_t sum = size;
  for (const uint64_t lane : lanes) sum = Scramble(sum ^ lane) * kFactor;
  return sum;
}

}  // namespace

void ContentHash::Mix(uint64_t word) {
  state_ = std::rotl(Scramble(state_ ^ word) * kFactor, 27) + word;
}

void ContentHash::Add(std::string_view bytes) {
  SerialFor threads;
  Add(std::as_bytes(std::span(bytes)), threads);
}

void ContentHash::Add(std::span<const std::byte> bytes, ParallelFor& threads) {
  const size_t pieces = (bytes.size() + kPiece - 1) / kPiece;
  std::vector<uint64_t> hashes(pieces);
  threads.Run(static_cast<int64_t>(pieces), [&](int64_t piece, int64_t) {
    const size_t at = static_cast<size_t>(piece) * kPiece;
    hashes[static_cast<size_t>(piece)] =
        HashPiece(bytes.data() + at, std::min(kPiece, bytes.size() - at));
  });
  Mix(bytes.size());
  for (const uint64_t hash : hashes) Mix(hash);
}

std::string ContentHash::Hex() const {
  std::string hex;
  const uint64_t state = Scramble(state_);
  for (int shift = 60; shift >= 0; shift -= 4) {
    hex += "0123456789abcdef"[state >> shift & 15];
  }
  return hex;
}

}  // namespace ropewalk
