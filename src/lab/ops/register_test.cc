// libropewalk_torch.so as PyTorch uses it: loaded, and called through the
// dispatcher.

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>
#include <string>
#include <vector>

#include "lab/ops/attention.h"
#include "lab/ops/cross_entropy.h"
#include "lab/ops/gate.h"
#include "lab/ops/norm.h"
#include "position/scheme.h"

namespace ropewalk::lab::ops {
namespace {

using c10::IValue;

class RegisterTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    // As ctypes does, which torch.ops.load_library calls.
    library_ = dlopen(ROPEWALK_TORCH_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library_, nullptr) << dlerror();
  }
  void SetUp() override { at::manual_seed(2); }

  static at::Tensor Call(const std::string& name, std::vector<IValue> stack) {
    c10::Dispatcher::singleton()
        .findSchemaOrThrow(("ropewalk::" + name).c_str(), "")
        .callBoxed(&stack);
    EXPECT_EQ(stack.size(), 1u);
    return stack.at(0).toTensor();
  }

  static void* library_;
};
void* RegisterTest::library_ = nullptr;

// Result and gradients, bit for bit.
void ExpectSame(const at::Tensor& got, const at::Tensor& want,
                const std::vector<at::Tensor>& inputs) {
  ASSERT_TRUE(at::equal(got, want));
  ASSERT_TRUE(got.requires_grad());
  const at::Tensor dy = at::randn_like(want);
  const auto of_got = torch::autograd::grad({got}, inputs, {dy});
  const auto of_want = torch::autograd::grad({want}, inputs, {dy});
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_TRUE(at::equal(of_got[i], of_want[i])) << "input " << i;
    EXPECT_GT(of_got[i].abs().max().item<double>(), 0) << "input " << i;
  }
}

at::Tensor Leaf(at::IntArrayRef shape, at::ScalarType type = at::kFloat) {
  return at::randn(shape, type).requires_grad_(true);
}

// Two copies of our code live in this process, and neither may see the other:
// the plug-in exports nothing of it.
TEST_F(RegisterTest, LibraryKeepsItsSymbolsToItself) {
  EXPECT_EQ(dlsym(library_, "_ZN8ropewalk3lab3ops6SwiGluERKN2at6TensorE"),
            nullptr);
}

std::shared_ptr<const position::Plan> PlanOf(const std::string& spelling,
                                             int64_t layer, int64_t layers,
                                             int64_t D, int64_t length) {
  const position::ModelPositions model{.head_width = D,
                                       .rotary_width = D,
                                       .base = 500,
                                       .train_length = 16,
                                       .has_learned_logn = true};
  return std::make_shared<const position::Plan>(position::BuildStack(
      position::Resolve(position::ParseScheme(spelling), model, length), model,
      length, layers)[static_cast<size_t>(layer)]);
}

TEST_F(RegisterTest, BandedAttentionIsTheOperatorInCpp) {
  using attention::Direction;
  struct Case {
    std::string position, mask;
    int64_t layer;
    std::vector<Direction> directions;
  };
  const Case kCases[] = {
      {"rope", "causal", 0, {Direction::kForward}},
      {"rerope:window=4+logn-learned", "bidirectional", 0, {Direction::kBoth}},
      {"inv-leaky", "prefix", 1, {Direction::kForward}},
      {"hwfa:window=3", "causal", 0, {Direction::kForward}},
      {"hwfa:window=3", "causal", 1, {Direction::kForward}},
      {"rope", "mixed-layers", 1, {Direction::kBackward}},
      {"rope",
       "mixed-heads",
       0,
       {Direction::kForward, Direction::kForward, Direction::kBackward,
        Direction::kBackward}},
  };
  for (const Case& c : kCases) {
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      SCOPED_TRACE(c.position + " " + c.mask);
      std::vector<at::Tensor> x = {Leaf({2, 20, 4, 16}, type),
                                   Leaf({2, 20, 2, 16}, type),
                                   Leaf({2, 20, 2, 8}, type)};
      AttentionOptions options;
      options.plan = PlanOf(c.position, c.layer, 2, 16, 20);
      options.H = 4;
      options.G = 2;
      options.directions = c.directions;
      options.keys = at::tensor({20, 11}, at::kLong);
      IValue prefix, scale;
      if (c.mask == "prefix") {
        options.prefix = at::tensor({3, 7}, at::kLong);
        prefix = options.prefix;
      }
      if (c.position.find("learned") != std::string::npos) {
        x.push_back(Leaf({4}, type));
        scale = x[3];
      }
      const auto call = [&] {
        return Call("banded_attention",
                    {x[0], x[1], x[2], c.position, c.layer, int64_t{2},
                     int64_t{16}, 500.0, c.mask, prefix, options.keys, scale});
      };
      // Once more from the cache of plans.
      for (int64_t run = 0; run < 2; ++run) {
        ExpectSame(call(),
                   Attention(x[0], x[1], x[2],
                             x.size() > 3 ? x[3] : at::Tensor(), options),
                   x);
      }
    }
  }
}

TEST_F(RegisterTest, OtherOperatorsAreThoseInCpp) {
  const at::Tensor x = Leaf({3, 8}), weight = Leaf({8}), output = Leaf({11, 8});
  const at::Tensor targets = at::tensor({1, 10, 4}, at::kLong);
  const at::Tensor weights = at::tensor({1.0, 0.5, 2.0}, at::kFloat);
  ExpectSame(Call("rms_norm", {x, weight, 1e-5}), RmsNorm(x, weight, 1e-5),
             {x, weight});
  ExpectSame(Call("rms_norm", {x, IValue(), 1e-3}), RmsNorm(x, {}, 1e-3), {x});
  ExpectSame(Call("swiglu", {x}), SwiGlu(x), {x});
  for (const IValue& w : {IValue(weights), IValue()}) {
    ExpectSame(
        Call("linear_cross_entropy", {x, output, targets, w, 3.0, int64_t{2}}),
        LinearCrossEntropy(x, output, targets,
                           w.isNone() ? at::Tensor() : weights, 3, 2),
        {x, output});
  }
}

TEST_F(RegisterTest, WrongCallsAreErrorsOfPyTorchThatSayWhy) {
  const at::Tensor q = at::randn({1, 5, 2, 4});
  const auto message = [&](const std::string& position, int64_t layer,
                           int64_t N, double base, const std::string& mask,
                           const IValue& prefix) -> std::string {
    try {
      Call("banded_attention", {q, q, q, position, layer, int64_t{2}, N, base,
                                mask, prefix, IValue(), IValue()});
    } catch (const c10::Error& error) {
      return error.what_without_backtrace();
    }
    return "";
  };
  const auto expect = [](const std::string& got, const std::string& part) {
    EXPECT_NE(got.find(part), std::string::npos) << got;
  };
  const IValue none, prefix = at::ones({1}, at::kLong);
  EXPECT_EQ(message("rope", 0, 16, 100, "causal", none), "");
  expect(message("ropes", 0, 16, 100, "causal", none), "ropes");
  expect(message("rerope:window=0", 0, 16, 100, "causal", none), "window");
  expect(message("rope", 2, 16, 100, "causal", none), "layer");
  expect(message("rope", -1, 16, 100, "causal", none), "layer");
  expect(message("rope", 0, 0, 100, "causal", none), "length");
  expect(message("rope", 0, 16, 0.5, "causal", none), "base");
  expect(message("rope", 0, 16, 100, "sideways", none), "mixed-heads");
  expect(message("rope", 0, 16, 100, "prefix", none), "prefix");
  expect(message("rope", 0, 16, 100, "causal", prefix), "prefix");
  expect(message("dca:chunk=4", 0, 16, 100, "bidirectional", none),
         "selects by chunk");
  expect(message("rope+logn-learned", 0, 16, 100, "causal", none),
         "head_scale");
  EXPECT_THROW(Call("swiglu", {at::zeros({2, 3})}), c10::Error);
  EXPECT_THROW(Call("rms_norm", {q, at::ones({3}), 1e-5}), c10::Error);
}

}  // namespace
}  // namespace ropewalk::lab::ops
