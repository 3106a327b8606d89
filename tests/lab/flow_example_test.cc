// examples/lab/flow_points.cc as its users run it.

#include <cmath>
#include <string>

#include "report/xml_for_test.h"
#include "tests/lab/lab_runs.h"

namespace ropewalk {
namespace {

class FlowExampleTest : public LabTest {
 protected:
  static ProgramResult Example(const Words& arguments) {
    ProgramOptions options;
    options.program = ROPEWALK_FLOW_EXAMPLE;
    options.environment.insert({"OMP_NUM_THREADS", "1"});
    options.timeout_seconds = 300;
    return RunProgram(arguments, options);
  }
};

// The number behind a word of what was printed.
double NumberAfter(const std::string& text, const std::string& word) {
  const size_t at = text.find(word);
  return at == std::string::npos ? NAN
                                 : std::stod(text.substr(at + word.size()));
}

TEST_F(FlowExampleTest, PointsComeInAndAPictureGoesOut) {
  std::string csv = "x,y\n";
  for (int i = 0; i < 400; ++i) {
    const double angle = 0.7 * i;
    csv += std::to_string(500 + 20 * std::cos(angle)) + "," +
           std::to_string(3 * std::sin(angle)) + "\n";
  }
  const std::string points = Write("ring.csv", csv);
  const std::string picture = Path("ring.svg");
  const ProgramResult result = Example({points, picture});
  ASSERT_TRUE(Worked(result));
  // Both come nearer to the ring, to less than half of their distance.
  EXPECT_LT(NumberAfter(result.out, "particles "),
            NumberAfter(result.out, "from ") / 2)
      << result.out;
  const std::string generator = result.out.substr(result.out.find("generator"));
  EXPECT_LT(NumberAfter(generator, "generator "),
            NumberAfter(generator, "from ") / 2)
      << result.out;
  const std::string svg = ReadAll(picture);
  EXPECT_NO_THROW(report::XmlReader::Read(svg));
  EXPECT_NE(svg.find("log r by kernels"), std::string::npos);
  EXPECT_NE(svg.find("data:image/png;base64,"), std::string::npos);
}

TEST_F(FlowExampleTest, WhatIsWrongIsSaid) {
  EXPECT_EQ(Example({}).exit_code, 2);
  const std::string points = Write("p.csv", "1,2\n3,nan\n");
  ProgramResult result = Example({points, Path("p.svg")});
  EXPECT_EQ(result.exit_code, 1) << Describe(result);
  EXPECT_NE(result.err.find("line 2"), std::string::npos);
  result = Example({points, Path("p.svg"), "hinge"});
  EXPECT_EQ(result.exit_code, 1) << Describe(result);
  EXPECT_NE(result.err.find("hinge"), std::string::npos);
}

}  // namespace
}  // namespace ropewalk
