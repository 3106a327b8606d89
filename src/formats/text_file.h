// Text and token-id files, plain or gzip.
//
// Gzip is recognised by its first two bytes, not by the file's name, so that a
// download that a browser has unpacked can be read too.

#ifndef ROPEWALK_FORMATS_TEXT_FILE_H_
#define ROPEWALK_FORMATS_TEXT_FILE_H_

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"

namespace ropewalk::formats {

// Returns the bytes of the file. Gzip is unpacked and its members are joined;
// nothing else changes, so a byte order mark and carriage returns stay. Throws
// IoError, and FormatError for gzip that is broken, cut short, or larger than
// 256 MiB and 200 times its packed size (text unpacks to 3 to 20 times).
std::string ReadTextFile(const std::string& path);

// The same for the rest of an open file. `name` stands for the path in errors.
std::string ReadText(std::FILE* file, const std::string& name);

// Throws FormatError at the first byte of `text` that is not UTF-8, and for
// archives and documents, of which some are: tar, zip, PDF, what other programs
// packed, and models. The offset in the error counts unpacked bytes.
void RequireUtf8(const std::string& path, std::string_view text);

// Reads decimal ids separated by whitespace, one document on each line, and
// skips lines without ids. Throws IoError, and a FormatError with line and byte
// for anything that is not an integer from 0 to 2^31 - 1.
std::vector<std::vector<Token>> ReadIdsFile(const std::string& path);

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_TEXT_FILE_H_
