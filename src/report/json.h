// JSON that every parser accepts, whatever went into it.

#ifndef ROPEWALK_REPORT_JSON_H_
#define ROPEWALK_REPORT_JSON_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "report/table.h"

namespace ropewalk::report {

// Indented by two spaces, ends with a newline. Non-finite numbers are null
// (JSON has no others), ill-formed UTF-8 becomes U+FFFD.
std::string DumpJson(const nlohmann::ordered_json& json);

// An array with one object a row, keyed by column name; missing is null.
nlohmann::ordered_json ToJson(const Table& table);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_JSON_H_
