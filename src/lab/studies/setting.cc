#include "lab/studies/setting.h"

#include "base/data_files.h"
#include "base/error.h"
#include "base/text.h"
#include "formats/text_file.h"

namespace ropewalk::lab::studies {

Scale ParseScale(const std::string& name) {
  for (const Scale scale : {Scale::kSmoke, Scale::kSmall, Scale::kPaper}) {
    if (ToString(scale) == name) return scale;
  }
  throw std::invalid_argument("--scale: '" + Printable(name, 40) +
                              "' is none of smoke, small, paper");
}

std::string ToString(Scale scale) {
  switch (scale) {
    case Scale::kSmoke:
      return "smoke";
    case Scale::kSmall:
      return "small";
    case Scale::kPaper:
      return "paper";
    case Scale::kGiven:
      return "given";
  }
  ROPEWALK_CHECK(false);
  return {};
}

train::TrainConfig ConfigOf(const Setting& setting,
                            const std::vector<std::string>& overrides) {
  // The studies name the texts; any will do to read the rest.
  std::vector<std::string> all = {"data.train=[\"texts\"]"};
  all.insert(all.end(), overrides.begin(), overrides.end());
  return train::ReadTrainConfig(
      setting.config, "studies/" + ToString(setting.scale) + ".toml", all);
}

Setting MakeSetting(Scale scale) {
  const std::string name = "studies/" + ToString(scale) + ".toml";
  const auto path = FindData(name);
  if (!path) {
    throw IoError(name +
                  " is not beside this program; set ROPEWALK_DATA to the "
                  "folder that holds studies/");
  }
  Setting setting{.scale = scale, .config = formats::ReadTextFile(*path)};
  const train::TrainConfig config = ConfigOf(setting);
  setting.N = config.model.N;
  setting.L = config.model.L;
  setting.repeat_fraction = config.data.repeat_fraction;
  setting.documents = scale == Scale::kSmoke ? 8 : 64;
  setting.seeds = {1};
  if (scale == Scale::kSmall) setting.seeds = {1, 2, 3};
  return setting;
}

}  // namespace ropewalk::lab::studies
