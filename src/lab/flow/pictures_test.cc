#include "lab/flow/pictures.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <stdexcept>

#include "lab/flow/draws.h"
#include "lab/flow/png.h"
#include "lab/flow/targets.h"
#include "report/xml_for_test.h"

namespace ropewalk::lab::flow {
namespace {

size_t CountOf(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(PngTest, HoldsThePixels) {
  const at::Tensor pixels =
      at::arange(2 * 3 * 3, at::kByte).view({2, 3, 3}) * 10;
  const std::string png = ToPng(pixels);
  EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  // Width and height, then 8 bits of 3 channels.
  EXPECT_EQ(png.substr(16, 10), std::string("\0\0\0\3\0\0\0\2\x08\x02", 10));
  const size_t data = png.find("IDAT");
  ASSERT_NE(data, std::string::npos);
  const auto byte = [&](size_t i) {
    return static_cast<size_t>(static_cast<unsigned char>(png[i]));
  };
  const size_t length = byte(data - 2) << 8 | byte(data - 1);
  std::string raw(2 * (1 + 9), '\0');
  uLongf size = raw.size();
  ASSERT_EQ(
      uncompress(reinterpret_cast<Bytef*>(raw.data()), &size,
                 reinterpret_cast<const Bytef*>(png.data() + data + 4), length),
      Z_OK);
  ASSERT_EQ(size, raw.size());
  EXPECT_EQ(raw[0], '\0');
  EXPECT_EQ(static_cast<unsigned char>(raw[1 + 4]), 40);
  EXPECT_EQ(static_cast<unsigned char>(raw[10 + 1 + 8]), 170);
  EXPECT_THROW(ToPng(at::zeros({2, 2})), std::invalid_argument);
  EXPECT_THROW(ToPng(at::zeros({2, 2, 4}, at::kByte)), std::invalid_argument);
}

TEST(PicturesTest, ColoursTellMissingFromTooMany) {
  const at::Tensor colours =
      FieldColours(at::tensor({-9.F, 0.F, 9.F}).view({1, 3}), 4);
  const auto channel = [&](int64_t pixel, int64_t c) {
    return colours[0][pixel][c].item<int64_t>();
  };
  EXPECT_GT(channel(0, 2), 2 * channel(0, 0));                    // blue
  EXPECT_LT(channel(1, 0) + channel(1, 1) + channel(1, 2), 130);  // night
  EXPECT_GT(channel(2, 0), 2 * channel(2, 2));                    // gold
}

// The field of two Gaussians grows towards the target, right in the picture
// and up in it.
TEST(PicturesTest, TheFieldStandsUpright) {
  const auto law = [](double x, double y) {
    return GaussianMixture::Single(at::tensor({x, y}, at::kFloat),
                                   at::eye(2, at::kFloat));
  };
  const ExactRatio field(law(1, 2), [&](double) { return law(0, 0); });
  const at::Tensor map = SampleField(field, 0, 3, 60);
  EXPECT_EQ(map.sizes(), at::IntArrayRef({60, 60}));
  EXPECT_GT(map[0][30].item<float>(), map[59][30].item<float>());
  EXPECT_GT(map[30][59].item<float>(), map[30][0].item<float>());
  // log r = x + 2 y - 5/2, at the corner pixel's middle of -2.95 and 2.95.
  EXPECT_NEAR(map[0][0].item<float>(), -2.95 + 5.9 - 2.5, 1e-4);
}

Scene AScene(int64_t frames) {
  at::Generator draws = Draws(1, Purpose::kNoise);
  return {.title = "a < b & c",
          .extent = 2,
          .field = at::zeros({8, 8}),
          .target = Normal({5, 2}, draws, at::dtype(at::kFloat)),
          .paths = Normal({frames, 3, 2}, draws, at::dtype(at::kFloat))};
}

TEST(PicturesTest, ScenesAreWellFormedAndComplete) {
  const std::string svg = ToSvg("flows", {AScene(4), AScene(9)}, 2);
  EXPECT_NO_THROW(report::XmlReader::Read(svg));
  EXPECT_EQ(CountOf(svg, "data:image/png;base64,"), 2u);
  EXPECT_NE(svg.find("a &lt; b &amp; c"), std::string::npos);
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  EXPECT_EQ(ToSvg("nothing", std::vector<Scene>{}, 2), "");
  EXPECT_EQ(svg, ToSvg("flows", {AScene(4), AScene(9)}, 2));
}

at::Tensor SampleOn(at::Device device) {
  at::Generator draws = Draws(1, Purpose::kNoise);
  const at::Tensor points = Normal({30, 2}, draws, at::dtype(at::kDouble));
  KernelRatio field(points, 0.4);
  field.Fit(points.to(device) + 0.5, 0);
  return SampleField(field, 0, 3, 8);
}

TEST(PicturesTest, AFieldIsSampledInTheTypeOfItsPoints) {
  const at::Tensor values = SampleOn(at::kCPU);
  EXPECT_EQ(values.sizes(), at::IntArrayRef({8, 8}));
  EXPECT_EQ(values.scalar_type(), at::kDouble);
}

TEST(PicturesTest, OnCudaAFieldIsSampledWhereItLives) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device";
  const at::Tensor there = SampleOn(at::kCUDA);
  EXPECT_FALSE(there.is_cuda());
  EXPECT_LT((there - SampleOn(at::kCPU)).abs().max().item<double>(), 1e-9);
}

TEST(PicturesTest, AFilmHoldsEveryFrame) {
  Film film{.title = "p_t",
            .scenes = {AScene(3), AScene(3)},
            .labels = {"0", "1/2", "1"},
            .columns = 2};
  const std::string html = ToHtml(film);
  EXPECT_EQ(CountOf(html, "<canvas"), 2u);
  // 3 frames of 3 particles, two coordinates of two bytes: 36 bytes, 48 digits.
  const size_t begin = html.find("data-frames=\"") + 13;
  EXPECT_EQ(html.find('"', begin) - begin, 48u);
  EXPECT_EQ(html.find("http"), std::string::npos) << "needs a network";
  film.labels.pop_back();
  EXPECT_THROW(ToHtml(film), std::invalid_argument);
  EXPECT_THROW(ToHtml(Film{}), std::invalid_argument);
}

TEST(PicturesTest, SheetsShowTheirImages) {
  const std::string svg = ToSvg(
      "images", {{.title = "one", .images = at::zeros({10, 1, 28, 28})}}, 5);
  EXPECT_NO_THROW(report::XmlReader::Read(svg));
  EXPECT_THROW(
      ToSvg("images", {{.title = "flat", .images = at::zeros({28, 28})}}, 5),
      std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::lab::flow
