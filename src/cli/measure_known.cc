#include "cli/measure_known.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

namespace ropewalk::cli {
namespace {

using Json = nlohmann::ordered_json;

evaluate::MeasureRow KnownRowOf(const Json& json) {
  evaluate::MeasureRow row{
      .position = json.at("position").get<std::string>(),
      .resolved = json.at("resolved").get<std::string>(),
      .set = json.at("set").get<std::string>(),
      .length = json.at("length").get<int64_t>(),
      .tokens = json.at("tokens").get<int64_t>(),
      .loss = json.at("loss").get<double>(),
      .loss_stderr = json.at("loss_stderr").get<double>(),
      .accuracy = json.at("accuracy").get<double>(),
      .accuracy_stderr = json.at("accuracy_stderr").get<double>(),
      .seconds = json.at("seconds").get<double>(),
      .document_losses = json.at("document_losses").get<std::vector<double>>()};
  if (json.contains("known_to_fail")) {
    row.known_to_fail = json["known_to_fail"].get<std::string>();
  }
  return row;
}

evaluate::StretchRow KnownStretchOf(const Json& json) {
  return {.position = json.at("position").get<std::string>(),
          .length = json.at("length").get<int64_t>(),
          .from = json.at("from").get<int64_t>(),
          .to = json.at("to").get<int64_t>(),
          .tokens = json.at("tokens").get<int64_t>(),
          .loss = json.at("loss").get<double>(),
          .loss_stderr = json.at("loss_stderr").get<double>(),
          .accuracy = json.at("accuracy").get<double>()};
}

}  // namespace

KnownRows ReadKnownRows(const std::string& path,
                        const std::string& measurement) {
  // A pipe cannot be read and written, and a page of rows is small.
  constexpr uintmax_t kMostBytes = uintmax_t{256} << 20;
  std::error_code error;
  if (path.empty() || !std::filesystem::is_regular_file(path, error) ||
      std::filesystem::file_size(path, error) > kMostBytes || error) {
    return {};
  }
  std::ifstream file(path, std::ios::binary);
  const Json json = Json::parse(file, nullptr, /*allow_exceptions=*/false);
  KnownRows known;
  try {
    if (!json.is_object() || !json.at("interrupted").get<bool>() ||
        json.at("measurement").get<std::string>() != measurement) {
      return {};
    }
    for (const Json& row : json.at("rows"))
      known.rows.push_back(KnownRowOf(row));
    if (json.contains("by_position")) {
      for (const Json& row : json["by_position"]) {
        known.stretches.push_back(KnownStretchOf(row));
      }
    }
  } catch (const Json::exception&) {
    return {};  // not a file of ours
  }
  return known;
}

}  // namespace ropewalk::cli
