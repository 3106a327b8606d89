// A picture of the way that each block of an attention call takes.

#ifndef ROPEWALK_CLI_TILE_PICTURE_H_
#define ROPEWALK_CLI_TILE_PICTURE_H_

#include <string>

#include "evaluate/tile_map.h"

namespace ropewalk::cli {

std::string ToSvg(const evaluate::TileMap& map, const std::string& title);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_TILE_PICTURE_H_
