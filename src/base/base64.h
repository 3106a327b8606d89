// Base64 of RFC 4648, with padding.

#ifndef ROPEWALK_BASE_BASE64_H_
#define ROPEWALK_BASE_BASE64_H_

#include <optional>
#include <string>
#include <string_view>

namespace ropewalk {

std::string EncodeBase64(std::string_view bytes);

// Nothing if `text` has other characters, or another length than base64 has.
std::optional<std::string> DecodeBase64(std::string_view text);

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_BASE64_H_
