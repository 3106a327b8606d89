// JSON that every parser accepts, for any input.

#ifndef ROPEWALK_REPORT_JSON_H_
#define ROPEWALK_REPORT_JSON_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "report/table.h"

namespace ropewalk::report {

// Indented by two spaces, with a newline at the end. Non-finite numbers become
// null, because JSON cannot express them; ill-formed UTF-8 becomes U+FFFD.
std::string DumpJson(const nlohmann::ordered_json& json);

// An array with one object for each row, keyed by column name. A missing cell
// is null.
nlohmann::ordered_json ToJson(const Table& table);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_JSON_H_
