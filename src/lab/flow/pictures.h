// Pictures of flows: a night sky of the log ratio with the paths of particles
// over it, films of p_t under a slider, sheets of images.
//
// They carry a dark ground of their own, in light pages and dark ones, since
// the field's colours are made for it.

#ifndef ROPEWALK_LAB_FLOW_PICTURES_H_
#define ROPEWALK_LAB_FLOW_PICTURES_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lab/flow/ratio.h"

namespace ropewalk::lab::flow {

// One square of a picture: what is not defined is not drawn.
struct Scene {
  std::string title;
  double extent = 3;  // x and y run from -extent to extent
  at::Tensor field;   // log ratio, [S, S], the top row has the largest y
  at::Tensor target;  // faint dots, [M, 2]
  at::Tensor paths;   // particles through time, [F, N, 2]
};

// The log ratio of a field at the pixels of a square, on the CPU.
at::Tensor SampleField(const RatioField& field, double t, double extent,
                       int64_t pixels);

// The colours of a log ratio, uint8 [S, S, 3]: blue where the particles are too
// many, dark where they are right, gold where they are missing, with lines of
// equal height. `largest` is where a colour is full.
at::Tensor FieldColours(const at::Tensor& field, double largest = 60);

// Scenes side by side as an SVG document without scripts: fields, the paths
// from hollow starts to bright ends.
std::string ToSvg(const std::string& title, const std::vector<Scene>& scenes,
                  int64_t columns);

// The same scenes as a piece of HTML: particles on canvases over the first
// field, moved by one slider and a button; frames of all scenes are shown
// together, so that equal times stand side by side. Needs no network, and no
// names of its own in the page.
struct Film {
  std::string title;
  std::vector<Scene> scenes;        // with the same number of frames
  std::vector<std::string> labels;  // a frame
  int64_t columns = 4;
};
// Throws std::invalid_argument where scenes, frames and labels do not fit.
std::string ToHtml(const Film& film);

// Images [N, 1, H, W] in [-1, 1] as sheets with titles, SVG.
struct Sheet {
  std::string title;
  at::Tensor images;
};
std::string ToSvg(const std::string& title, const std::vector<Sheet>& sheets,
                  int64_t images_a_row);

}  // namespace ropewalk::lab::flow

#endif  // ROPEWALK_LAB_FLOW_PICTURES_H_
