#include "evaluate/attention_entropy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "attention/definition/reference.h"
#include "evaluate/model_scorer.h"
#include "formats/text_file.h"
#include "kernels/reference/reference.h"
#include "model/attention_probe.h"
#include "model/context.h"
#include "tests/model_logits.h"
#include "tests/test_data.h"

namespace ropewalk::evaluate {
namespace {

constexpr int64_t kTrained = 64;  // trained length of the tiny models

EntropyOptions Options(const std::vector<std::string>& spellings,
                       const std::vector<int64_t>& lengths,
                       int64_t last_queries = 16) {
  EntropyOptions options{
      .spellings = spellings, .lengths = lengths, .last_queries = last_queries};
  for (const std::string& spelling : spellings) {
    options.schemes.push_back(position::ParseScheme(spelling));
  }
  return options;
}

// The row of a scheme, a length and a layer. Fails if there is no such row.
EntropyRow Find(const std::vector<EntropyRow>& rows,
                const std::string& spelling, int64_t length,
                int64_t layer = -1) {
  for (const EntropyRow& row : rows) {
    if (row.position == spelling && row.length == length &&
        row.layer == layer) {
      return row;
    }
  }
  ADD_FAILURE() << "no row " << spelling << " " << length << " " << layer;
  return {};
}

// The mean entropy of the last queries of layer `layer`, from the weights of
// the reference attention over the inputs of one undivided pass.
class Definition : public model::AttentionProbe {
 public:
  Definition(engine::Engine& engine, const position::Stack& stack,
             const std::vector<Token>& ids)
      : stack_(stack), heads_(engine.model().config().heads) {
    const auto n = static_cast<int64_t>(ids.size());
    model::Context context(engine.model(), stack, {.length = n, .chunk = n},
                           engine.threads());
    context.workspace().SetProbe(this);
    context.Forward(ids);
  }

  void See(const model::AttentionInputs& inputs) override {
    n_ = inputs.T;
    const auto doubles = [](const float* x, int64_t size) {
      return std::vector<double>(x, x + size);
    };
    queries_.push_back(doubles(inputs.queries, n_ * heads_.H * heads_.D));
    keys_.push_back(doubles(inputs.keys, n_ * heads_.G * heads_.D));
    scales_.push_back(
        inputs.head_scale == nullptr
            ? std::vector<double>(static_cast<size_t>(heads_.H), 1.0)
            : doubles(inputs.head_scale, heads_.H));
  }

  double Entropy(int64_t layer, int64_t last_queries) const {
    const auto l = static_cast<size_t>(layer);
    const auto D = static_cast<size_t>(heads_.D);
    double sum = 0;
    for (int64_t i = n_ - last_queries; i < n_; ++i) {
      for (int64_t h = 0; h < heads_.H; ++h) {
        std::vector<double> row;
        for (int64_t j = 0; j <= i; ++j) {
          const auto q = static_cast<size_t>(i * heads_.H + h);
          const auto k = static_cast<size_t>(j * heads_.G + h / heads_.Group());
          row.push_back(scales_[l][static_cast<size_t>(h)] *
                        attention::ReferenceScore(
                            stack_[l], heads_,
                            std::span(queries_[l]).subspan(q * D, D), i,
                            std::span(keys_[l]).subspan(k * D, D), j));
        }
        kernels::reference::Softmax(row.data(), i + 1, row.data());
        for (const double p : row) sum -= p > 0 ? p * std::log(p) : 0;
      }
    }
    return sum / static_cast<double>(last_queries * heads_.H);
  }

 private:
  position::Stack stack_;
  attention::HeadShape heads_;
  int64_t n_ = 0;
  std::vector<std::vector<double>> queries_, keys_, scales_;
};

// 520 tokens are two chunks of a context, and the last queries are in both.
TEST(AttentionEntropyTest, MatchesTheReferenceWeights) {
  engine::Engine engine(
      {.path = model::TinyPath(
           "entropy.gguf",
           {.extra_tensors = {{"blk.0.attn_logn.weight", {4}},
                              {"blk.1.attn_logn.weight", {4}}}}),
       .threads = 2});
  const std::vector<Token> ids = model::RandomTokens(engine.model(), 530, 9);
  const std::vector<Token> read(ids.end() - 520, ids.end());
  for (const char* spelling : {"rerope:window=20+logn-clip", "dynamic-ntk",
                               "rope+logn-learned", "hwfa"}) {
    const auto rows =
        MeasureAttentionEntropy(engine, {ids}, Options({spelling}, {520}));
    ASSERT_EQ(rows.size(), 3u);
    const Definition definition(
        engine, model::MakeStack(engine.model(), spelling, 520), read);
    double sum = 0;
    for (const int64_t layer : {0, 1}) {
      // Queries of the second layer depend on float32 sums, which other chunks
      // group differently.
      const double want = definition.Entropy(layer, 16);
      EXPECT_NEAR(Find(rows, spelling, 520, layer).entropy, want, 1e-5)
          << spelling << " layer " << layer;
      sum += Find(rows, spelling, 520, layer).entropy;
    }
    EXPECT_DOUBLE_EQ(Find(rows, spelling, 520).entropy, sum / 2);
  }
}

TEST(AttentionEntropyTest, RowsNameSchemeLengthLayerAndDocuments) {
  engine::Engine engine(
      {.path = model::TinyPath("entropy_rows.gguf"), .threads = 1});
  const auto first = model::RandomTokens(engine.model(), 130, 1);
  const auto second = model::RandomTokens(engine.model(), 128, 2);
  const auto short_one = model::RandomTokens(engine.model(), 127, 3);
  const EntropyOptions options = Options({"rerope", "rope"}, {128, 40}, 5);
  int64_t tokens = 0;
  Workload work;
  const auto rows =
      MeasureAttentionEntropy(engine, {first, short_one, second}, options,
                              [&](int64_t T, const Workload& done) {
                                tokens += T;
                                work += done;
                              });
  ASSERT_EQ(rows.size(), 12u);
  for (size_t r = 0; r < rows.size(); ++r) {
    EXPECT_EQ(rows[r].position, r < 6 ? "rerope" : "rope");
    EXPECT_EQ(rows[r].resolved, r < 6 ? "rerope:window=32" : "rope");
    EXPECT_EQ(rows[r].length, r / 3 % 2 == 0 ? 128 : 40);
    EXPECT_EQ(rows[r].layer, static_cast<int64_t>(r % 3) - 1);
    EXPECT_EQ(rows[r].documents, 2);
    EXPECT_GT(rows[r].entropy, 0);
    EXPECT_LT(rows[r].entropy, rows[r].upper);
    double upper = 0;
    for (int64_t n = rows[r].length - 4; n <= rows[r].length; ++n) {
      upper += std::log(static_cast<double>(n)) / 5;
    }
    EXPECT_NEAR(rows[r].upper, upper, 1e-12);
  }
  EXPECT_EQ(tokens, 2 * 2 * (128 + 40));
  Workload want;
  for (const EntropyRow& row : rows) {
    if (row.layer != -1) continue;
    want += ModelScorer(engine).Work(
                model::MakeStack(engine.model(), row.position, row.length), 0,
                row.length) *
            2;
  }
  EXPECT_DOUBLE_EQ(work.steady, want.steady);
  EXPECT_DOUBLE_EQ(work.growing, want.growing);

  // Two documents: means a and b, standard error |a - b| / 2.
  const auto a = MeasureAttentionEntropy(engine, {first}, options);
  const auto b = MeasureAttentionEntropy(engine, {second}, options);
  for (size_t r = 0; r < rows.size(); ++r) {
    EXPECT_DOUBLE_EQ(rows[r].entropy, (a[r].entropy + b[r].entropy) / 2);
    // The error comes from a difference of squares, which keeps half the
    // digits.
    EXPECT_NEAR(rows[r].entropy_stderr,
                std::abs(a[r].entropy - b[r].entropy) / 2, 1e-6);
    EXPECT_EQ(a[r].entropy_stderr, 0);
  }
}

TEST(AttentionEntropyTest, EntropyOfOneTokenIsZero) {
  engine::Engine engine(
      {.path = model::TinyPath("entropy_one.gguf"), .threads = 1});
  for (const EntropyRow& row : MeasureAttentionEntropy(
           engine, {{5, 6, 7}}, Options({"rope", "rerope"}, {1, 2}))) {
    if (row.length == 1) {
      EXPECT_EQ(row.entropy, 0);
      EXPECT_EQ(row.upper, 0);
    } else {
      // Both queries count: ln 1 and ln 2.
      EXPECT_DOUBLE_EQ(row.upper, std::log(2.0) / 2);
      EXPECT_GT(row.entropy, 0);
    }
  }
}

TEST(AttentionEntropyTest, SchemesDifferOnlyBeyondWindowAndTrainedLength) {
  engine::Engine engine(
      {.path = model::TinyPath("entropy_schemes.gguf"), .threads = 2});
  const auto ids = model::RandomTokens(engine.model(), 256, 4);
  const std::string window = "window:size=8";
  const auto rows = MeasureAttentionEntropy(
      engine, {ids},
      Options({"rope", "rope+logn-clip", "rerope:window=32", window},
              {32, kTrained, 256}, 1));
  for (const int64_t layer : {-1, 0, 1}) {
    const auto entropy = [&](const std::string& spelling, int64_t length) {
      return Find(rows, spelling, length, layer).entropy;
    };
    for (const int64_t length : {int64_t{32}, kTrained, int64_t{256}}) {
      EXPECT_LE(entropy(window, length), std::log(8.0));
      EXPECT_DOUBLE_EQ(Find(rows, window, length, layer).upper, std::log(8.0));
    }
    EXPECT_EQ(entropy("rope+logn-clip", kTrained), entropy("rope", kTrained));
    // Within the window there are no far keys.
    EXPECT_NEAR(entropy("rerope:window=32", 32), entropy("rope", 32), 1e-5);
    EXPECT_GT(std::abs(entropy("rerope:window=32", 256) - entropy("rope", 256)),
              1e-4);
  }
  // The first layer reads the same either way, so only the scale differs.
  EXPECT_LT(Find(rows, "rope+logn-clip", 256, 0).entropy,
            Find(rows, "rope", 256, 0).entropy);
}

TEST(AttentionEntropyTest, RefusesBeforeReading) {
  engine::Engine engine(
      {.path = model::TinyPath("entropy_bad.gguf"), .threads = 1});
  const std::vector<Document> documents = {
      model::RandomTokens(engine.model(), 40, 5)};
  const auto refused = [&](const EntropyOptions& options,
                           const std::vector<Document>& of) {
    EXPECT_THROW(MeasureAttentionEntropy(engine, of, options,
                                         [](int64_t, const Workload&) {
                                           FAIL() << "read something";
                                         }),
                 std::invalid_argument);
  };
  refused(Options({}, {20}), documents);
  refused(Options({"rope"}, {}), documents);
  refused(Options({"rope"}, {20, 0}), documents);
  refused(Options({"rope"}, {20}, 0), documents);
  refused(Options({"rope"}, {20, 41}), documents);
  refused(Options({"rope"}, {20}), {});
  refused(Options({"rope"}, {20}), {{300, 1, 2}});
  refused(Options({"rope", "rope+logn-learned"}, {20}), documents);
  EntropyOptions unnamed = Options({"rope"}, {20});
  unnamed.spellings.clear();
  refused(unnamed, documents);
  refused(Options({"rope"}, {3}), {{300, 1, 2}});  // outside the vocabulary
}

TEST(AttentionEntropyTest, AnExceptionOfTheCallbackStopsIt) {
  struct Stop {};
  engine::Engine engine(
      {.path = model::TinyPath("entropy_stop.gguf"), .threads = 1});
  EXPECT_THROW(MeasureAttentionEntropy(
                   engine, {model::RandomTokens(engine.model(), 40, 5)},
                   Options({"rope"}, {20}),
                   [](int64_t, const Workload&) { throw Stop(); }),
               Stop);
}

TEST(AttentionEntropyTest, EntropyOfATrainedModelGrowsLessUnderLogN) {
  ROPEWALK_NEED_DATA(path, "models/llama2xs270K/llama2xs270K.gguf");
  ROPEWALK_NEED_DATA(ids, "ids/stories.ids");
  engine::Engine engine({.path = path, .threads = 2});
  ASSERT_EQ(engine.positions().train_length, 256);
  auto documents = formats::ReadIdsFile(ids);
  documents.resize(3);
  const std::string rerope = "rerope:window=128";
  const std::string logn = rerope + "+logn-clip";
  const auto rows = MeasureAttentionEntropy(
      engine, documents, Options({"rope", rerope, logn}, {128, 256, 1024}));
  for (const EntropyRow& row : rows) {
    EXPECT_EQ(row.documents, 3);
    EXPECT_GT(row.entropy, 0);
    EXPECT_GT(row.entropy_stderr, 0);
    EXPECT_LT(row.entropy, row.upper);
  }
  const auto entropy = [&](const std::string& spelling, int64_t length) {
    return Find(rows, spelling, length).entropy;
  };
  EXPECT_NEAR(entropy(rerope, 128), entropy("rope", 128), 1e-5);
  EXPECT_EQ(entropy(logn, 128), entropy(rerope, 128));
  EXPECT_EQ(entropy(logn, 256), entropy(rerope, 256));
  // All far keys have the distance of the window, so each new key gets some
  // weight; the scale reduces it.
  EXPECT_GT(entropy(rerope, 1024), entropy(rerope, 256) + 0.1);
  EXPECT_LT(entropy(logn, 1024), entropy(rerope, 1024) - 0.02);
  EXPECT_GT(entropy(logn, 1024), entropy(logn, 256));
}

}  // namespace
}  // namespace ropewalk::evaluate
