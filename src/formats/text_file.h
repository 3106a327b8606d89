// Text and token-id files, plain or gzip.
//
// Gzip is recognised by its first two bytes, not by the name, so a download
// that a browser unpacked on the way still reads.

#ifndef ROPEWALK_FORMATS_TEXT_FILE_H_
#define ROPEWALK_FORMATS_TEXT_FILE_H_

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"

namespace ropewalk::formats {

// The bytes of the file; gzip is unpacked, members that follow each other
// joined. Nothing else is changed: a byte order mark and carriage returns
// stay. Throws IoError, and FormatError for gzip that is broken, cut short, or
// grows beyond 256 MiB and 200 times its size (text packs 3 to 20 times).
std::string ReadTextFile(const std::string& path);

// The same from where `file` stands to its end, which a terminal gives with
// Ctrl-D. `name` stands for the path in errors.
std::string ReadText(std::FILE* file, const std::string& name);

// Throws FormatError at the first byte of `text` that is not UTF-8. Offsets
// count unpacked bytes.
void RequireUtf8(const std::string& path, std::string_view text);

// Whitespace-separated decimal ids, one document a line; lines without ids are
// skipped. Throws IoError, and FormatError naming line and byte for anything
// that is not an integer from 0 to 2^31 - 1.
std::vector<std::vector<Token>> ReadIdsFile(const std::string& path);

}  // namespace ropewalk::formats

#endif  // ROPEWALK_FORMATS_TEXT_FILE_H_
