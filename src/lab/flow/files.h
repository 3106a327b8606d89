// What a user brings: a file of points, files of images. Nothing in them is
// trusted.

#ifndef ROPEWALK_LAB_FLOW_FILES_H_
#define ROPEWALK_LAB_FLOW_FILES_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk::lab::flow {

// Points as text, one a line: numbers split by commas, semicolons, tabs or
// blanks; empty lines and lines that begin with # are skipped, and so is a
// first line without any number (a header). Plain or gzip. Float32 [N, D].
//
//   D   coordinates a point; 0 takes what the first point has
//
// Throws IoError, and FormatError with the line for a point of another
// dimension, for what is no finite number (nan among it), and for fewer than
// two points.
at::Tensor ReadPoints(const std::string& path, int64_t D = 0);

// Images of IDX files (the format of MNIST), plain or gzip, one file after the
// other: uint8 [N, H, W]. Throws IoError, and FormatError for a file of
// another format, one that is cut or too long, and images of another size than
// those of the first file.
at::Tensor ReadImages(const std::vector<std::string>& paths);

// Bytes [N, H, W] as the networks take images: float32 [N, 1, H, W] in [-1, 1].
// Throws std::invalid_argument for what is no such bytes.
at::Tensor ToPixels(const at::Tensor& bytes);

// Labels of an IDX file: int64 [N]. Throws as ReadImages does.
at::Tensor ReadLabels(const std::string& path);

// Fashion-MNIST (arXiv 1708.07747) as Debian's dataset-fashion-mnist lays it
// out, in $ROPEWALK_FASHION_MNIST or /usr/share/datasets/fashion-mnist.
struct LabelledImages {
  at::Tensor images;  // float32 [N, 1, 28, 28] in [-1, 1]
  at::Tensor labels;  // int64 [N], 0 to 9
};
struct ImageSet {
  LabelledImages train, test;
};

// Throws IoError that names the package where there is none, and FormatError
// where ReadImages does, for images that are not 28x28 and labels above 9.
ImageSet ReadFashionMnist();

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_FILES_H_
