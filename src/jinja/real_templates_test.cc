#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "formats/json_file.h"
#include "jinja/goldens_for_test.h"
#include "jinja/template.h"

namespace ropewalk::jinja {
namespace {

std::string Contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Compares all cases of one template.
void ExpectGoldens(const std::filesystem::path& path) {
  const std::string source = Contents(path);
  auto goldens = path;
  const formats::Json json =
      formats::ReadJsonFile(goldens.replace_extension(".json").string());
  RenderOptions options;
  options.now = TimeOf(json["now"]);
  for (const formats::Json& golden : json["cases"]) {
    const Rendered ours =
        RenderForTest(source, VariablesOf(golden["variables"]), options);
    EXPECT_EQ(Difference(ours, golden), "")
        << path.stem() << ", " << golden["name"];
  }
}

TEST(RealTemplatesTest, RenderAsJinja2Does) {
  const char* const folder = std::getenv("ROPEWALK_TEMPLATES");
  if (folder == nullptr) {
    GTEST_SKIP() << "ROPEWALK_TEMPLATES names no folder that "
                    "tools/render_templates.py wrote";
  }
  int64_t checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    ExpectGoldens(entry.path());
    ++checked;
  }
  EXPECT_GE(checked, 40);
}

}  // namespace
}  // namespace ropewalk::jinja
