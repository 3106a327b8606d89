// A text that is read and edited, with the definition of the outputs that
// attention over it should have.

#ifndef ROPEWALK_ATTENTION_SERVING_LIVE_TEXT_FOR_TEST_H_
#define ROPEWALK_ATTENTION_SERVING_LIVE_TEXT_FOR_TEST_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attention/definition/reference.h"
#include "attention/serving/attention_for_test.h"
#include "kernels/nibbles.h"
#include "kernels/reference/reference.h"

namespace ropewalk::attention {

// All contents of a store's image as one string, to compare two stores.
inline std::string BytesOf(const KvStore& store) {
  const KvImage image = store.Image();
  std::string out;
  const auto number = [&](int64_t x) { out += std::to_string(x) + ' '; };
  number(image.size);
  number(image.keep);
  number(image.taken_out);
  number(image.frame);
  const auto tiles = [&](const std::vector<KvImage::Tile>& from,
                         int64_t bytes) {
    for (const KvImage::Tile& tile : from) {
      number(tile.number);
      out.append(reinterpret_cast<const char*>(tile.data),
                 static_cast<size_t>(bytes));
    }
    out += '\n';
  };
  for (const auto& keys : image.keys) tiles(keys, image.key_tile_bytes);
  tiles(image.values, image.value_tile_bytes);
  return out;
}

// Borrows the sequence `s`. The tokens of the text are rows of `s`.
class LiveText {
 public:
  LiveText(position::Plan plan, const Sequence& s, DType type = DType::kF32)
      : sequence_(&s), type_(type) {
    attention_ = std::make_unique<BandedAttention>(std::move(plan), s.shape);
    store_ = std::make_unique<KvStore>(attention_->NewStore(type));
    for (int64_t row = 0; row < s.n * s.shape.G; ++row) {
      most_key_ = std::max(most_key_, Norm(s.keys.data() + row * s.shape.D));
    }
    for (const float v : s.values) {
      most_value_ = std::max(most_value_, std::abs(static_cast<double>(v)));
    }
  }

  KvStore& store() { return *store_; }
  const position::Plan& plan() const { return attention_->plan(); }
  int64_t frame() const { return store_->frame(); }

  void Append(int64_t row, int64_t T) {
    tables_.Begin(store_->size() + frame(), T);
    store_->Append(
        sequence_->keys.data() + row * sequence_->shape.G * sequence_->shape.D,
        sequence_->values.data() +
            row * sequence_->shape.G * sequence_->shape.ValueWidth(),
        T, tables_, threads_);
    for (int64_t t = 0; t < T; ++t) rows_.push_back(row + t);
  }

  // Reads rows [row, row + T) of the sequence and returns their outputs.
  std::vector<float> Read(int64_t row, int64_t T) {
    Append(row, T);
    std::vector<float> output(
        static_cast<size_t>(T * sequence_->shape.H *
                            sequence_->shape.ValueWidth()),
        -1.0f);
    const QuerySlice slice{
        .queries = sequence_->queries.data() +
                   row * sequence_->shape.H * sequence_->shape.D,
        .output = output.data(),
        .T = T,
        .store = store_.get(),
        .tables = &tables_};
    attention_->Attend({&slice, 1}, nullptr, threads_, scratch_);
    return output;
  }

  // Does the same and compares some of the outputs with the definition: for f32
  // over the rows that were appended, for other types over what is stored.
  std::vector<float> ReadAndCheck(int64_t row, int64_t T) {
    const std::vector<float> output = Read(row, T);
    const int64_t width = sequence_->shape.ValueWidth();
    for (int64_t t = 0; t < T; ++t) {
      if (t % 7 != 0 && t + 1 != T) continue;
      const int64_t id = store_->size() - T + t;
      for (int64_t h = 0; h < sequence_->shape.H; ++h) {
        const std::vector<double> want = Want(id, h);
        const double tolerance = ToleranceOf(id, h);
        for (int64_t d = 0; d < width; ++d) {
          const auto at =
              static_cast<size_t>((t * sequence_->shape.H + h) * width + d);
          EXPECT_NEAR(output[at], want[static_cast<size_t>(d)], tolerance)
              << "id " << id << " head " << h << " of " << T << " tokens";
          if (testing::Test::HasFailure()) return output;
        }
      }
    }
    return output;
  }

  // Expects that every stored key and value that later queries can see equals
  // the appended one, rotated, up to `steps` rounding steps of the type.
  void ExpectStoredRows(int64_t steps) {
    const int64_t D = sequence_->shape.D;
    std::vector<float> got(static_cast<size_t>(std::max(D, ValueWidth())));
    const int64_t next = store_->size();
    for (int64_t j = 0; j < next; ++j) {
      const auto b = plan().BandOf(next, j);
      if (!b || rows_[static_cast<size_t>(j)] < 0) continue;
      const position::Band& band = plan().bands[static_cast<size_t>(*b)];
      for (int64_t g = 0; g < sequence_->shape.G; ++g) {
        const std::vector<double> want =
            Rotated(Raw(sequence_->keys, j, g, sequence_->shape.G, D),
                    band.key(j + frame()), TableOf(band));
        store_->CopyKey(attention_->StoreOf(*b), j, g, got.data());
        ExpectRow(want, got, steps, "key", j);
        store_->CopyValue(j, g, got.data());
        ExpectRow(
            Raw(sequence_->values, j, g, sequence_->shape.G, ValueWidth()), got,
            1, "value", j);
        if (testing::Test::HasFailure()) return;
      }
    }
  }

  // Becomes the other text, from its image or from a changed image.
  void RestoreFrom(const LiveText& other) {
    RestoreFrom(other, other.store_->Image());
  }
  void RestoreFrom(const LiveText& other, const KvImage& image) {
    store_->Restore(image);
    rows_ = other.rows_;
  }
  void Trim(int64_t size) {
    store_->Trim(size);
    rows_.resize(static_cast<size_t>(size));
  }
  // Takes out `count` tokens after the first `keep` and after earlier gaps.
  void Evict(int64_t keep, int64_t count) {
    store_->Evict(keep, count);
    auto at = rows_.begin() + keep;
    while (at != rows_.end() && *at < 0) ++at;
    std::fill_n(at, count, -1);
  }
  void CloseGap() {
    store_->CloseGap();
    std::erase(rows_, -1);
  }
  void ChangePlan(position::Plan plan) {
    store_->ChangePlan(plan);
    attention_ =
        std::make_unique<BandedAttention>(std::move(plan), sequence_->shape);
  }

 private:
  int64_t ValueWidth() const { return sequence_->shape.ValueWidth(); }
  double Norm(const float* x) const {
    double sum = 0;
    for (int64_t d = 0; d < sequence_->shape.D; ++d) {
      sum += static_cast<double>(x[d]) * x[d];
    }
    return std::sqrt(sum);
  }
  const position::FrequencyTable& TableOf(const position::Band& band) const {
    return plan().tables[static_cast<size_t>(band.table)];
  }
  std::vector<double> Raw(const std::vector<float>& from, int64_t id,
                          int64_t head, int64_t heads, int64_t width) const {
    const float* at =
        from.data() + (rows_[static_cast<size_t>(id)] * heads + head) * width;
    return {at, at + width};
  }
  std::vector<double> Rotated(const std::vector<double>& x, double position,
                              const position::FrequencyTable& table) const {
    std::vector<double> angles;
    for (const double f : table.frequencies) angles.push_back(position * f);
    std::vector<double> out(x.size());
    kernels::reference::Rotate(x.data(), angles.data(),
                               static_cast<int64_t>(angles.size()),
                               static_cast<int64_t>(x.size()), out.data());
    for (size_t d = 0; d < 2 * angles.size(); ++d) out[d] *= table.magnitude;
    return out;
  }

  void ExpectRow(const std::vector<double>& want, const std::vector<float>& got,
                 int64_t steps, const char* what, int64_t id) const {
    double largest = 0;
    for (const double x : want) largest = std::max(largest, std::abs(x));
    // A rotation costs some half-ulps of the pair. The steps are those of
    // stored_test.cc, but for a row that was rotated since: there a step may be
    // sqrt 2 larger, of a row whose largest component may be sqrt 2 larger.
    double step = 0;
    if (type_ == DType::kF16) step = 0x1p-11 * largest;
    if (type_ == DType::kBf16) step = 0x1p-8 * largest;
    if (type_ == DType::kQ8_0) step = largest / 250;
    // A whole step, since there is no +8.
    if (type_ == DType::kQ4_0) step = largest / 7.9;
    for (size_t d = 0; d < want.size(); ++d) {
      EXPECT_NEAR(
          got[d], want[d],
          static_cast<double>(2 * steps - 1) * step + 24 * 0x1p-24 * largest)
          << what << " of id " << id;
    }
  }

  // The score of a query and the key that is stored.
  double StoredScore(int64_t i, int64_t h, int64_t j) const {
    const auto b = plan().BandOf(i, j);
    if (!b) return -std::numeric_limits<double>::infinity();
    const position::Band& band = plan().bands[static_cast<size_t>(*b)];
    const int64_t D = sequence_->shape.D;
    const std::vector<double> query =
        Rotated(Raw(sequence_->queries, i, h, sequence_->shape.H, D),
                band.query(i + frame()), TableOf(band));
    std::vector<float> key(static_cast<size_t>(D));
    store_->CopyKey(attention_->StoreOf(*b), j, h / sequence_->shape.Group(),
                    key.data());
    double sum = 0;
    for (size_t d = 0; d < key.size(); ++d) sum += query[d] * key[d];
    const HeadShape& shape = sequence_->shape;
    return shape.Capped(sum * plan().scale(i) * shape.ScoreFactor());
  }

  std::vector<double> Want(int64_t i, int64_t h) const {
    const int64_t g = h / sequence_->shape.Group();
    const bool plain = type_ == DType::kF32;
    std::vector<double> scores;
    for (int64_t j = 0; j <= i; ++j) {
      double score = -std::numeric_limits<double>::infinity();
      if (rows_[static_cast<size_t>(j)] >= 0) {
        score =
            plain ? ReferenceScore(plan(), sequence_->shape,
                                   Raw(sequence_->queries, i, h,
                                       sequence_->shape.H, sequence_->shape.D),
                                   i,
                                   Raw(sequence_->keys, j, g,
                                       sequence_->shape.G, sequence_->shape.D),
                                   j)
                  : StoredScore(i, h, j);
      }
      scores.push_back(score);
    }
    kernels::reference::Softmax(scores.data(), i + 1, scores.data());
    std::vector<double> out(static_cast<size_t>(ValueWidth()));
    std::vector<float> stored(out.size());
    for (int64_t j = 0; j <= i; ++j) {
      const double weight = scores[static_cast<size_t>(j)];
      if (weight == 0) continue;
      if (!plain) store_->CopyValue(j, g, stored.data());
      const std::vector<double> value =
          plain ? Raw(sequence_->values, j, g, sequence_->shape.G, ValueWidth())
                : Doubles(stored);
      for (size_t d = 0; d < out.size(); ++d) out[d] += weight * value[d];
    }
    return out;
  }

  // Like Tolerance in attention_for_test.h, plus 12 half-ulps for a key that
  // was rotated back and forth, and for types other than f32 what the integers
  // of kernels/cpu/strip_ints.h lose. Queries of quantised keys lose half a
  // step of 127; queries and keys of the other types half a step of 8191 each.
  // A value loses half a step of 32767 and a weight half a step of the tile's
  // sum over 32767, for each of kTile keys.
  double ToleranceOf(int64_t i, int64_t h) const {
    const int64_t D = sequence_->shape.D;
    const double query =
        Norm(sequence_->queries.data() +
             (rows_[static_cast<size_t>(i)] * sequence_->shape.H + h) * D);
    double magnitude = 1;
    for (const position::FrequencyTable& table : plan().tables) {
      magnitude = std::max(magnitude, table.magnitude);
    }
    const HeadShape& shape = sequence_->shape;
    const double factor = shape.ScoreFactor();
    // Half a step for each of D components, relative to the product of the
    // norms: a factor of sqrt(D).
    const double lost = type_ == DType::kF32           ? 0
                        : kernels::StoresQuants(type_) ? 0.51 / 127
                                                       : 2 * 0.51 / 8191;
    const double step = static_cast<double>(D + 20) * 0x1p-24 * factor +
                        lost * factor * std::sqrt(static_cast<double>(D));
    const double product = query * most_key_ * magnitude * magnitude *
                           std::max(1.0, plan().scale(i));
    const double score = step * product + CapError(shape, factor * product);
    const double weights = type_ == DType::kF32
                               ? 0
                               : 0.51 * static_cast<double>(kTile + 1) / 32767;
    return (2 * score + weights + 16 * 0x1p-24) * most_value_;
  }

  const Sequence* sequence_;
  DType type_;
  std::unique_ptr<BandedAttention> attention_;
  std::unique_ptr<KvStore> store_;
  RotationTables tables_;
  AttentionScratch scratch_;
  SerialFor threads_;
  std::vector<int64_t> rows_;  // of the sequence, for each id; -1: vacant
  double most_key_ = 0;
  double most_value_ = 0;
};

}  // namespace ropewalk::attention

#endif  // ROPEWALK_ATTENTION_SERVING_LIVE_TEXT_FOR_TEST_H_
