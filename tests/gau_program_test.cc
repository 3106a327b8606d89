// Models of gated attention units through every command.

#include <string>
#include <vector>

#include "tests/e2e.h"

namespace ropewalk {
namespace {

class GauProgramTest : public ProgramTest {
 protected:
  // As an export of a trained model names itself.
  std::string Gau(DType type = DType::kF32) const {
    return Tiny({.gau = true,
                 .L = 3,
                 .F = 160,
                 .train_length = 40,
                 .type = type,
                 .change_keys =
                     [](formats::Metadata& m) {
                       m.SetString("ropewalk.position", "hwfa:window=8");
                       m.SetString("ropewalk.position_trained",
                                   "hwfa:window=8");
                     }},
                "gau.gguf");
  }

  double Loss(const std::string& model, const std::string& ids) const {
    const ProgramResult result =
        RunProgram({"measure", "-m", model, "--ids", ids, "--length", "40,160",
                    "--position", "rope", "--position", "rerope+logn-clip",
                    "--json", Path("loss.json")});
    EXPECT_TRUE(Worked(result));
    const Json rows = Json::parse(ReadAll(Path("loss.json")))["rows"];
    EXPECT_EQ(rows.size(), 4u);
    EXPECT_EQ(rows[0]["resolved"], "hwfa:window=8");
    for (const Json& row : rows) EXPECT_GT(row["loss"], 0.0);
    return rows[3]["loss"];
  }
};

TEST_F(GauProgramTest, InspectNamesTheBlockAndItsWidths) {
  const std::string model = Gau();
  const ProgramResult result = RunProgram({"inspect", model});
  EXPECT_TRUE(Worked(result));
  for (const std::string part :
       {"tiny (ropewalk): 3 layers, width 64",
        "1 query heads on 1 of width 16, values of width 160, gated",
        "the file's scheme: hwfa:window=8", "blk.2.gau_in.weight",
        "336 x 64"}) {
    EXPECT_TRUE(Contains(result.out, part)) << part << "\n" << result.out;
  }
  const Json json = Json::parse(RunProgram({"inspect", model, "--json"}).out);
  EXPECT_EQ(json["runs"], true);
  EXPECT_EQ(json["block"], "gau");
  EXPECT_EQ(json["value_width"], 160);
}

TEST_F(GauProgramTest, RunsAndBenches) {
  const std::string model = Gau();
  const ProgramResult run =
      RunProgram({"run", "-m", model, "-p", "abc", "-n", "60", "--temp", "0",
                  "--context", "200"});
  EXPECT_TRUE(Worked(run));
  EXPECT_FALSE(run.out.empty());
  EXPECT_TRUE(Worked(RunProgram({"bench", "-m", model, "-p", "32", "-n", "4",
                                 "-d", "0,100", "--threads", "2"})));
}

TEST_F(GauProgramTest, MeasuresTheSameInEveryType) {
  const std::string ids = Ids(2, 200);
  const std::string model = Gau();
  const double exact = Loss(model, ids);
  // Random weights: the loss moves by about the types' steps.
  const std::vector<std::pair<std::string, double>> types = {
      {"f32", 0}, {"f16", 0.01}, {"bf16", 0.05}, {"q8_0", 0.05}, {"q4_0", 0.5}};
  for (const auto& [type, tolerance] : types) {
    const std::string out = Path(type + ".gguf");
    const ProgramResult result =
        RunProgram({"convert", model, out, "--type", type});
    EXPECT_TRUE(Worked(result));
    EXPECT_NEAR(Loss(out, ids), exact, tolerance) << type;
    const formats::GgufFile file(out);
    EXPECT_EQ(file.Find("blk.0.gau_gamma_q")->type_name, "f32");
    EXPECT_EQ(file.Find("blk.0.gau_in.weight")->type_name, type);
  }
}

}  // namespace
}  // namespace ropewalk
