// SHA-256 (FIPS 180-4), for naming texts and files in published tables.

#ifndef ROPEWALK_BASE_SHA256_H_
#define ROPEWALK_BASE_SHA256_H_

#include <string>
#include <string_view>

namespace ropewalk {

// 64 lower-case hexadecimal digits.
std::string Sha256(std::string_view bytes);

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_SHA256_H_
