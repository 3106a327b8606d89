// Pixels as PNG, and as text that a page can carry.

#ifndef ROPEWALK_LAB_FLOW_PNG_H_
#define ROPEWALK_LAB_FLOW_PNG_H_

#include <ATen/ATen.h>

#include <string>

namespace ropewalk::lab::flow {

// uint8 [H, W] (grey) or [H, W, 3] (red, green, blue). Throws
// std::invalid_argument for another type or shape.
std::string ToPng(const at::Tensor& pixels);

// "data:image/png;base64,...".
std::string PngUri(const at::Tensor& pixels);

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_PNG_H_
