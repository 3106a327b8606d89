#include "report/json.h"

#include <nlohmann/json.hpp>

namespace ropewalk::report {

std::string DumpJson(const nlohmann::ordered_json& json) {
  using Json = nlohmann::ordered_json;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

nlohmann::ordered_json ToJson(const Table& table) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const std::vector<Cell>& cells : table.rows()) {
    nlohmann::ordered_json row = nlohmann::ordered_json::object();
    for (size_t c = 0; c < cells.size(); ++c) {
      nlohmann::ordered_json& field = row[table.columns()[c].name];
      std::visit(
          [&field](const auto& value) {
            using T = std::decay_t<decltype(value)>;
            if constexpr (std::is_same_v<T, std::monostate>) {
              field = nullptr;
            } else {
              field = value;
            }
          },
          cells[c].value());
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace ropewalk::report
